"""The guard's start rule: wait for the ledger, load, and count nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from schemas.alerts import Alert
from schemas.journal import Counted, encode_rows, entry_headers
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams import stores
from streams.guard.guard import Guard
from streams.guard.state import compare, load_follower
from streams.guard.totals import Totals
from tests.support.ledger_rows import JOURNAL, NOON, covering, journal_row, journal_rows
from tests.support.stores import running_stores

pytestmark = pytest.mark.slow


def entries():
    """A call each, the fifth and the tenth entry with lost events."""
    for position in range(12):
        covered = covering(position * 10, position * 10 + 9, lost=position % 5 == 4)
        yield covered, journal_rows(journal_row(cost=Decimal(position)))


def write(clickhouse, first: int, last: int) -> None:
    ledger = Ledger(clickhouse, JOURNAL)
    for position, (covered, rows) in enumerate(entries()):
        if first <= position < last:
            ledger.write(position, (covered,), Counted((covered,), None, rows), NOON)


async def loaded(clickhouse, committed: int = 0):
    """The totals, by the start rule."""
    stop = asyncio.Event()
    return await load_follower(lambda: [Totals()], clickhouse, JOURNAL, committed, stop)


def follow(follower, first: int, last: int) -> None:
    for position, (covered, rows) in enumerate(entries()):
        if first <= position < last:
            follower.take(position, entry_headers("meter", (covered,)), encode_rows(rows))


async def test_it_waits_until_the_ledger_has_what_the_group_committed(clickhouse):
    write(clickhouse, 0, 3)
    loading = asyncio.create_task(loaded(clickhouse, committed=6))
    done, _ = await asyncio.wait({loading}, timeout=0.5)
    assert not done
    write(clickhouse, 3, 6)
    assert (await loading).at.position == 5


async def test_what_is_loaded_is_not_counted_again_when_it_is_seen_again(clickhouse):
    write(clickhouse, 0, 7)
    totals = await loaded(clickhouse)
    follow(totals, 0, 12)
    write(clickhouse, 7, 12)
    assert totals.concerns[0].counters() == (await loaded(clickhouse)).concerns[0].counters()
    assert sorted(totals.concerns[0].counters().values()) == [12, sum(range(12)) * 10**12]


async def test_a_range_that_is_not_next_is_not_counted(clickhouse):
    write(clickhouse, 0, 3)
    totals = await loaded(clickhouse)
    before = dict(totals.concerns[0].counters())
    headers = entry_headers("zombie", (covering(10, 19),))
    totals.take(3, headers, encode_rows(journal_rows(journal_row())))
    assert totals.concerns[0].counters() == before
    assert totals.at.position == 3


async def test_a_ledger_that_is_behind_is_no_drift(clickhouse):
    write(clickhouse, 0, 3)
    totals = await loaded(clickhouse)
    follow(totals, 3, 5)
    assert await compare(totals.concerns[0], totals, clickhouse) is None


async def test_lost_events_raise_one_alert_per_range(clickhouse):
    write(clickhouse, 0, 12)
    totals = await loaded(clickhouse)
    alerts = totals.due()
    assert [(a.rule, a.period, a.severity) for a in alerts] == [
        ("events_lost", "offset 40", "critical"),
        ("events_lost", "offset 90", "critical"),
    ]


class Interrupted(ClickHouse):
    """A connection after whose first query the ledger goes on, as it does in another process."""

    go_on: Callable[[], None] | None = None

    def query(self, sql, parameters=None):
        rows = super().query(sql, parameters)
        if self.go_on is not None:
            go_on, self.go_on = self.go_on, None
            go_on()
        return rows


async def test_an_entry_that_lands_while_the_state_is_loaded_is_counted(clickhouse):
    write(clickhouse, 0, 5)
    reading = Interrupted(clickhouse.url, database=clickhouse._database)
    reading.go_on = lambda: write(clickhouse, 5, 6)
    try:
        totals = await loaded(reading)
    finally:
        reading.close()
    follow(totals, 5, 8)
    assert sorted(totals.concerns[0].counters().values()) == [8, sum(range(8)) * 10**12]


async def test_entries_that_were_fetched_and_never_handed_on_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("streams.guard.guard.STALL_SECONDS", 0.0)
    (tmp_path / "detectors.yaml").write_text("unattributed: off\n")
    rules = {"detectors": tmp_path / "detectors.yaml"}
    async with running_stores(tmp_path / "stack", **rules) as settings:
        connection = stores.clickhouse(settings)
        write(connection, 0, 3)
        guard = Guard(settings, JOURNAL, [], asyncio.Event())

        async def committed() -> int:
            return 3

        async def publish(alert: Alert) -> None:
            published.append(alert.rule)

        published: list[str] = []
        guard.publish = publish
        await guard.load(committed)
        write(connection, 3, 6)
        guard.journal_end = lambda: 3
        await guard.tick()
        assert guard.follower.at.position == 2
        guard.journal_end = lambda: 6
        await guard.tick()
        await guard.tick()
        assert guard.follower.at.position == 5
        assert published == ["events_lost"]
        await guard.close()
        connection.close()
