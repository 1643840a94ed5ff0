"""Puts budgets against actuals on record in ClickHouse, from the active guard, about once a minute.

Nothing waits for it: what could not be written is computed anew and written later, and a guard that
starts writes everything that it has loaded.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sinks.budget_log import BudgetLog, StandingRow
from sinks.clickhouse import ClickHouse, ClickHouseError
from streams.budgets.budgets import Budgets
from streams.budgets.counters import Member
from streams.budgets.on_record import Subject, Unrecorded, rate_rows, standing_row
from streams.budgets.pace import Pace
from streams.guard.state import Follower

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
AGAIN_SECONDS = 10.0
"""After a failure, and while nothing was spent yet."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""The clock of the events is before it while there are none: then no period is the current one."""
AT_ONCE = 250
"""Members between two entries of the journal: some milliseconds, which no alert notices."""
BATCH = 10_000
"""Rows of an insert: ClickHouse likes few and large ones, and memory does not."""


class BudgetLanding:
    """Follows the budgets of one guard, which are from the file ``source``.

    The connection is its own: nobody else waits for it, and `close` closes it.
    """

    def __init__(self, connection: ClickHouse, source: Path | None) -> None:
        self._source = None if source is None else source.name
        self._connection = connection
        self._log = BudgetLog(connection)
        self._unrecorded: Unrecorded | None = None
        self._begun = False
        self._again: dict[tuple[str, Member, str], Subject] = {}
        """Who is not on record yet, each once however long ClickHouse is away."""
        self._due = 0.0

    async def land(self, follower: Follower) -> None:
        """Write what has changed, if it is time to. To be called every second; not twice at once.

        ``follower`` may go on meanwhile.
        """
        budgets = next(one for one in follower.concerns if isinstance(one, Budgets))
        pace = next(one for one in follower.concerns if isinstance(one, Pace))
        if self._unrecorded is None or self._unrecorded.budgets is not budgets:
            self._unrecorded, self._begun, self._again = Unrecorded(budgets), False, {}
            self._due = 0.0  # the budgets were just loaded
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_SECONDS
        now = follower.clock.now()
        seen = now >= EARLIEST
        for subject in self._unrecorded.take(now) if seen else ():
            counters, member, period = subject
            self._again[counters.budget.name, member, period.name] = subject
        try:
            if not self._begun:
                await asyncio.to_thread(self._begin, self._unrecorded, now)
                self._begun = True
            left = iter(self._again.values())
            while batch := list(islice(left, BATCH)):
                rows = await self._rows(follower, budgets, pace, batch)
                await asyncio.to_thread(self._log.record, rows, datetime.now(UTC))
        except ClickHouseError as error:
            log.warning("budgets against actuals are not on record yet: %s", error)
            self._due = time.monotonic() + AGAIN_SECONDS
            return
        self._again = {}
        if not seen:
            self._due = time.monotonic() + AGAIN_SECONDS

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _begin(self, unrecorded: Unrecorded, now: datetime) -> None:
        at = datetime.now(UTC)
        self._log.record_rates(rate_rows(unrecorded.budgets.book, self._source), at)
        self._log.retire(unrecorded.current(now), now, at)

    async def _rows(
        self, follower: Follower, budgets: Budgets, pace: Pace, subjects: list[Subject]
    ) -> list[StandingRow]:
        rows = []
        for number, subject in enumerate(subjects):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            now = follower.clock.now()
            rows.append(standing_row(budgets, pace, subject, follower.at, now))
        return rows
