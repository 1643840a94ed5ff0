"""The guard's concerns without its processes: what they make of records that are fed to them.

Who repeats prompts is not asked: the archive knows that, and there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from schemas.alerts import Alert
from schemas.wire import no_registry
from streams.alerts.history import Histories
from streams.budgets.budget_file import read_budgets
from streams.detectors.settings_file import read_detectors
from streams.guard.concern import Accepted, AsOf
from streams.guard.concerns import concerns_of
from streams.metering.events import decoded_records
from streams.metering.rollup import rollup
from streams.rating.pricebook import PriceBook
from streams.settings import load_settings
from streams.traffic.records import Record
from tests.support import records
from tests.support.ledger_rows import JOURNAL, SOURCE, covering


class Governance:
    """One guard's concerns, and the histories that their reports make.

    The folder has `budgets.yaml`, `detectors.yaml` and `prices.yaml`.
    """

    def __init__(self, folder: Path) -> None:
        self._prices = PriceBook.load(folder / "prices.yaml")
        self._concerns = concerns_of(
            load_settings(),
            read_budgets(folder / "budgets.yaml"),
            read_detectors(folder / "detectors.yaml"),
        )
        self._histories = Histories()
        self._position = self._offset = 0
        self.published: list[Alert] = []
        """Every transition, in order."""

    def take(self, sent: Sequence[Record]) -> None:
        """Meter the records as one entry, apply it, and publish what follows."""
        entry = self._entry(sent)
        for concern in self._concerns:
            concern.apply(entry)
        for concern in self._concerns:
            self.published += self._following(concern.alerts(entry.at, entry.now))

    def _entry(self, sent: Sequence[Record]) -> Accepted:
        first, self._offset = self._offset, self._offset + len(sent)
        raw = [records.Record(0, first + n, one.value) for n, one in enumerate(sent)]
        events, refused = decoded_records(raw, self._prices, no_registry)
        assert not refused, refused
        self._position += 1
        return Accepted(
            AsOf(JOURNAL, self._position),
            SOURCE,
            (covering(first, self._offset - 1),),
            pl.DataFrame(rollup(events)),
            max(one.at for one in sent if one.at is not None),
        )

    def _following(self, states: Iterable[Alert]) -> Iterator[Alert]:
        for state in states:
            known = self._histories.get(state.alert_id)
            if known is None and state.transition != "opened":
                continue
            alert = state if known is None else known.following(state)
            if alert is not None:
                assert self._histories.accept(alert)
                yield alert
