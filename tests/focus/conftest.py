"""A simulated month with corrections of every kind, exported as FOCUS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from reports.focus.export import Account, FocusFile, export_focus
from schemas.journal import Adjustment, Counted
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.migrate import migrate
from streams.chargeback.closing import draft, record
from tests.support.clickhouse_endpoint import clickhouse_endpoint
from tests.support.ledger_rows import JOURNAL, SOURCE, covering, journal_row, journal_rows
from tests.support.simulated_month import fill_month

MONTH = date(2026, 9, 1)
CLOSED = datetime(2026, 10, 2, tzinfo=UTC)
LATER = datetime(2026, 10, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Exported:
    """The files, and what the ledger came to when they were written."""

    csv: FocusFile
    parquet: FocusFile
    cost: Decimal


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("focus")
    with clickhouse_endpoint(folder / "data") as url:
        clickhouse = ClickHouse(url)
        migrate(clickhouse)
        fill_month(clickhouse, MONTH, thinned=200, outcomes=False)
        record(clickhouse, draft(clickhouse, MONTH, "tests", "", CLOSED))
        correct(clickhouse)
        accounts = (Account("openai", "org-4711", 'Acme\'s "own"'),)
        files = [
            export_focus(clickhouse, MONTH, folder / "out", form, accounts)
            for form in ("csv", "parquet")
        ]
        ((cost,),) = clickhouse.query("SELECT sum(cost) FROM spend")
        clickhouse.close()
        yield Exported(*files, cost)


def correct(clickhouse: ClickHouse) -> None:
    """After the closing: a repricing, a true-up, and an event that comes late."""
    ledger = Ledger(clickhouse, JOURNAL)
    position = ledger.progress().position + 1
    minute = datetime(2026, 9, 14, 9, 30, tzinfo=UTC)
    reprice = [
        journal_row(minute=minute, calls=-1, input_tokens=-90, cost=Decimal("-0.5"), price_ref="a"),
        journal_row(minute=minute, input_tokens=90, cost=Decimal("0.37"), price_ref="b"),
    ]
    true_up = [journal_row(minute=minute, calls=0, cost=Decimal("-3.000000000001"))]
    for reason, rows in (("repricing", reprice), ("true_up", true_up)):
        adjustment = Adjustment(
            adjustment_id=f"{reason}/1",
            reason=reason,
            source=SOURCE,
            partition=0,
            start=0,
            through=0,
        )
        ledger.write(position, (), Counted((), adjustment, journal_rows(*rows)), LATER)
        position += 1
    ranges = (covering(10**6, 10**6),)
    late = journal_rows(journal_row(minute=minute, input_tokens=7, cost=Decimal("0.000000000003")))
    ledger.write(position, ranges, Counted(ranges, None, late), LATER)
