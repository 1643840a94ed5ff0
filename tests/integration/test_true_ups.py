"""Money without events in the ledger: counted once, by every copy that has figures of money."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from schemas.errors import UserError
from schemas.journal import SourcePartition, decode_entry
from streams.guard.concern import Accepted, AsOf
from streams.guard.money import pico
from streams.guard.totals import Totals
from streams.rating.in_use import Ledger as InUse
from streams.rating.pricebook import PriceBook
from streams.reconciliation.verdict import reconcile
from streams.repricing.preview import preview
from streams.repricing.scope import Scope
from streams.trueup.append import Appended, append_true_ups
from streams.trueup.money import Amount, TrueUp
from tests.integration.test_reconcile import Pipeline
from tests.integration.test_repricing import CutOff, Journal
from tests.support.events import PRICES, call
from tests.support.ledger_rows import JOURNAL, NOON, SOURCE

pytestmark = pytest.mark.slow

DAY = NOON.date()
SEARCH = {"department": "shop", "team": "search", "provider": "own", "model": "unit"}
PAID = TrueUp(
    "true_up/own/2026-03/0",
    "invoice own 2026-03",
    "ada@host: the invoice of March",
    (
        Amount(DAY, Decimal("-0.000000000001"), SEARCH),
        Amount(DAY + timedelta(days=1), Decimal("12.5"), SEARCH | {"team": "support"}),
        Amount(DAY, Decimal(0), SEARCH | {"team": "nobody"}),
    ),
)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    file = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(PRICES)
    return PriceBook.load(file)


@pytest.fixture
def pipeline(clickhouse, book):
    """Two calls on each of two partitions."""
    pipeline = Pipeline(clickhouse, book)
    for partition in (0, 1):
        events = [call(f"e{partition}-{n}", "search", 1000 + n) for n in range(2)]
        pipeline.both(partition, *events)
    return pipeline


def append(pipeline, *true_ups, journal=None) -> Appended:
    sender = journal or Journal(pipeline)
    return asyncio.run(
        append_true_ups(pipeline.clickhouse, sender, JOURNAL, true_ups, lambda _: None)
    )


def total(pipeline) -> Decimal:
    return pipeline.clickhouse.query("SELECT sum(cost) FROM spend")[0][0]


def guard_after(pipeline, totals: Totals) -> dict:
    """What a guard with these totals answers."""
    return pipeline.guard() | {
        "partitions": [
            {
                "source": key.source,
                "partition": key.partition,
                "calls": totals.calls[key],
                "cost_pico_usd": str(totals.cost[key]),
            }
            for key in totals.calls
        ]
    }


def loaded(pipeline) -> Totals:
    totals = Totals()
    totals.load(pipeline.clickhouse, AsOf(JOURNAL, pipeline.position - 1), NOON)
    return totals


def test_a_true_up_counts_once_and_says_so(pipeline):
    before = total(pipeline)
    assert append(pipeline, PAID) == Appended((PAID.adjustment_id,), ())
    assert total(pipeline) == before + PAID.total == before + Decimal("12.499999999999")
    journal = Journal(pipeline)
    assert append(pipeline, PAID, journal=journal) == Appended((), (PAID.adjustment_id,))
    assert journal.sent == []
    assert total(pipeline) == before + PAID.total


def test_of_two_at_the_same_time_one_counts_and_the_other_is_told(pipeline):
    before = total(pipeline)
    other = Journal(pipeline)

    class Late(Journal):
        async def send_and_wait(self, *given, **named):
            await other.send_and_wait(*given, **named)
            return await super().send_and_wait(*given, **named)

    assert append(pipeline, PAID, journal=Late(pipeline)) == Appended((), (PAID.adjustment_id,))
    assert total(pipeline) == before + PAID.total


def test_cut_off_between_two_it_is_completed_by_the_next_run(pipeline, monkeypatch):
    monkeypatch.setattr("streams.trueup.money.MOST_ROWS", 1)
    before = total(pipeline)
    with pytest.raises(CutOff):
        append(pipeline, PAID, journal=Journal(pipeline, 1))
    assert append(pipeline, PAID) == Appended(
        (f"{PAID.adjustment_id}.1",), (f"{PAID.adjustment_id}.0",)
    )
    assert total(pipeline) == before + PAID.total


def test_every_copy_still_agrees_and_the_guard_counts_it(pipeline):
    totals = loaded(pipeline)
    journal = Journal(pipeline)
    append(pipeline, PAID, journal=journal)
    ((headers, payload),) = journal.sent
    rows = pl.DataFrame(decode_entry(headers, payload).rows)
    at = AsOf(JOURNAL, pipeline.position - 1)
    totals.apply(Accepted(at, SOURCE, (), rows, NOON))
    assert totals.counters() == loaded(pipeline).counters()
    assert totals.cost[SourcePartition(SOURCE, 0)] == 2001 * 10**6 + pico(PAID.total)
    verdict = reconcile(pipeline.clickhouse, guard_after(pipeline, totals))
    assert verdict.ok
    assert verdict.compared.cost == 2 * 2001 * 10**6


def test_what_is_wrong_beside_a_true_up_is_still_found_where_it_is(pipeline):
    append(pipeline, PAID)
    pipeline.clickhouse.command("DELETE FROM spend WHERE partition = 0 AND calls > 0")
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert not verdict.ok
    ((found, unplaced),) = [(e.difference, verdict.unplaced) for e in verdict.explanations]
    assert (found.figures.calls, found.adjustments, unplaced) == (2, 0, ())


def test_views_and_summaries_follow(pipeline):
    append(pipeline, PAID)
    ask = pipeline.clickhouse.query
    assert ask("SELECT team, calls, cost FROM spend_by_day WHERE team = 'support'") == [
        ("support", 0, Decimal("12.5"))
    ]
    assert ask(
        "SELECT adjustment_id, reason, note, team, calls, cost FROM adjusted_spend ORDER BY cost"
    ) == [
        (PAID.adjustment_id, "true_up", PAID.note, "search", 0, Decimal("-0.000000000001")),
        (PAID.adjustment_id, "true_up", PAID.note, "support", 0, Decimal("12.5")),
    ]
    assert ask("SELECT restated_cost FROM restated_spend WHERE team = 'support'") == [
        (Decimal("12.5"),)
    ]
    assert ask("SELECT DISTINCT kind, rating, price_ref FROM spend WHERE calls = 0") == [
        ("true_up", "priced", "invoice own 2026-03")
    ]


def test_repricing_and_price_checks_leave_it_alone(pipeline, book):
    append(pipeline, PAID)
    found = preview(pipeline.clickhouse, book, Scope(DAY, DAY + timedelta(days=1)))
    assert found.empty
    assert found.differing == 0
    assert InUse(pipeline.clickhouse, book, 30).repriced() == []


def test_without_any_usage_there_is_nothing_to_true_up(clickhouse, book):
    with pytest.raises(UserError, match="the ledger is empty"):
        append(Pipeline(clickhouse, book), PAID)


@pytest.mark.parametrize(
    ("usd", "attribution", "said"),
    [
        ("1", SEARCH | {"calls": 3}, "no attribution"),
        ("1", SEARCH | {"rating": "unpriced"}, "no attribution"),
        ("1", {"team": "a", "provider": "own"}, "needs a model"),
        ("0.0000000000001", SEARCH, "more than twelve decimals"),
    ],
)
def test_what_no_true_up_may_be_is_refused(usd, attribution, said):
    with pytest.raises(ValueError, match=said):
        Amount(date(2026, 3, 1), Decimal(usd), attribution)


def test_its_rows_are_at_noon_of_their_day():
    ((name, rows),) = PAID.parts()
    assert name == PAID.adjustment_id
    assert rows["minute"].to_pylist() == [NOON, datetime(2026, 3, 11, 12, tzinfo=UTC)]
