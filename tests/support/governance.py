"""The guard's concerns without its processes: what they make of records that are fed to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

import polars as pl

from schemas.alerts import Alert
from schemas.wire import no_registry
from streams.alerts.history import Histories
from streams.budgets.book import BudgetBook
from streams.detectors.settings_file import Detectors
from streams.guard.concern import Accepted, AsOf, Concern
from streams.guard.concerns import concerns_of
from streams.metering.events import decoded_records
from streams.metering.rollup import rollup
from streams.rating.pricebook import PriceBook
from streams.settings import load_settings
from streams.traffic.records import Record
from tests.support import records
from tests.support.ledger_rows import JOURNAL, SOURCE, covering


def entries(sent: Sequence[Record], prices: PriceBook, every: timedelta) -> Iterator[Accepted]:
    """The journal entries of these records, in their order, one for each step of time with any."""
    raw = [records.Record(0, number, one.value) for number, one in enumerate(sent)]
    events, refused = decoded_records(raw, prices, no_registry)
    assert not refused, next(iter(refused.values()))
    newest = None
    steps = groupby(
        enumerate(sent),
        key=lambda one: one[1].at and one[1].at.timestamp() // every.total_seconds(),
    )
    for position, (_, group) in enumerate(steps):
        offsets = [offset for offset, _ in group]
        part = events[offsets[0] : offsets[-1] + 1]
        rows = pl.DataFrame(rollup(part))
        latest = rows["minute"].max()
        newest = latest if newest is None else max(newest, latest)
        ranges = (covering(offsets[0], offsets[-1]),)
        yield Accepted(AsOf(JOURNAL, position), SOURCE, ranges, rows, newest)


@dataclass
class Governance:
    """One guard's concerns, and the histories that their reports make."""

    book: BudgetBook
    detectors: Detectors
    published: list[Alert] = field(default_factory=list)
    """Every transition, in order."""

    def __post_init__(self) -> None:
        self._concerns: Sequence[Concern] = concerns_of(load_settings(), self.book, self.detectors)
        self._histories = Histories()

    def take(self, entry: Accepted) -> None:
        """Apply an entry, and publish what follows."""
        for concern in self._concerns:
            concern.apply(entry)
        for concern in self._concerns:
            self._publish(concern.alerts(entry.at, entry.now))

    def _publish(self, states: Iterable[Alert]) -> None:
        for state in states:
            known = self._histories.get(state.alert_id)
            alert = state if known is None else known.following(state)
            if alert is None or (known is None and state.transition != "opened"):
                continue
            assert self._histories.accept(alert)
            self.published.append(alert)
