"""The view `focus_costs`: a charge for each class of tokens, which add up to the ledger exactly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reports.focus.export import NotTheLedger, charges_of
from schemas.journal import Adjustment, Counted
from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.chargeback.closing import draft, record
from streams.cli.main import main
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.rating.pricebook import PriceBook
from streams.repricing.prices import record_prices
from tests.support.ledger_rows import JOURNAL, SOURCE, covering, journal_row, journal_rows
from tests.support.records import Record

pytestmark = pytest.mark.slow

MARCH = date(2026, 3, 1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 2, tzinfo=UTC)
PRICES = """
prices:
  - {provider: own, model: whole, effective_from: 2026-01-01,
     usd_per_million_tokens: {input: 2.50, cache_read: 1.25, output: 10, reasoning: 12}}
  - {provider: own, model: thirds, effective_from: 2026-01-01, usd_per_call: 0.000001,
     usd_per_million_tokens: {input: 0.083333333333, cache_read: 0.033333333333,
                              cache_write_5m: 0.111111111111, output: 0.666666666667}}
  - {provider: own, model: stepped, effective_from: 2026-01-01,
     usd_per_million_tokens: {input: 1, output: 2},
     tiers: [{above_input_tokens: 1000, usd_per_million_tokens: {input: 2, output: 3}}]}
"""


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    (tmp_path / "prices.yaml").write_text(PRICES)
    return PriceBook.load(tmp_path / "prices.yaml")


def land(clickhouse: ClickHouse, book: PriceBook, events: Sequence[dict[str, Any]]) -> None:
    records = [
        Record(0, offset, encode(UsageEvent.model_validate(fields)))
        for offset, fields in enumerate(events)
    ]
    metered = meter_batch(
        [Span(SOURCE, 0, 0, records)], {0: IdWindow(10**4)}, book, no_registry, 10**7
    )
    (draft_,) = metered.drafts
    counted = Counted(draft_.ranges, None, draft_.rows)
    Ledger(clickhouse, JOURNAL).write(0, draft_.ranges, counted, NOON)


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "occurred_at": NOON + timedelta(seconds=30 * number),
        "provider": "own",
        "model": "whole",
        "team": "search",
        "usage_source": "reported",
    } | changes


def adjust(clickhouse: ClickHouse, reason: str, at: datetime, *rows: dict[str, Any]) -> None:
    ledger = Ledger(clickhouse, JOURNAL)
    position = ledger.progress().position + 1
    adjustment = Adjustment(
        adjustment_id=f"{reason}/{position}",
        reason=reason,
        source=SOURCE,
        partition=0,
        start=0,
        through=0,
    )
    ledger.write(position, (), Counted((), adjustment, journal_rows(*rows)), at)


def record_all(clickhouse: ClickHouse, book: PriceBook) -> None:
    models = ("whole", "thirds", "stepped")
    record_prices(clickhouse, book, [("own", model, None, None) for model in models])


def test_charges_are_the_ledger_and_the_tokens_whatever_the_usage(clickhouse, book):
    dice = random.Random(3)
    events: list[dict[str, Any]] = []
    for number in range(600):
        past = events[-1] if events else {}
        if past and "voids" not in past and dice.random() < 0.05:
            taken = past["event_id"]
            events.append({**past, "event_id": f"void:{taken}", "kind": "void", "voids": taken})
            continue
        tokens = {
            name: dice.choice((0, dice.randrange(3000)))
            for name in dice.sample(
                ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens"), 3
            )
        }
        events.append(
            event(
                number,
                model=dice.choice(("whole", "thirds", "stepped", "no-such")),
                team=dice.choice(("search", "support")),
                project=dice.choice((None, "atlas")),
                served_from_cache=dice.random() < 0.05,
                **tokens,
            )
        )
    land(clickhouse, book, events)
    whole = charges_of(clickhouse, MARCH)
    assert whole.cost == whole.not_split > 0  # no price is recorded yet
    record_all(clickhouse, book)
    split = charges_of(clickhouse, MARCH)
    assert split.cost == whole.cost
    assert split.not_split < whole.not_split / 10
    assert (split.unpriced, split.cached) == (whole.unpriced, whole.cached)
    totals = " + ".join(BUCKET_NAMES)
    by_model = clickhouse.query(
        f"SELECT model, sum({totals}), sum(cost) FROM spend "
        "WHERE cost IS NOT NULL AND price_ref != 'served from cache' GROUP BY model ORDER BY model"
    )
    assert by_model == clickhouse.query(
        "SELECT x_Model, toInt64(sumIf(ConsumedQuantity, ConsumedUnit = 'Tokens')), "
        "sum(BilledCost) FROM focus_costs GROUP BY x_Model ORDER BY x_Model"
    )
    # What is left of rounding events is in the largest part, and is less than a unit for each.
    ((most,),) = clickhouse.query(
        "SELECT max(abs(ContractedUnitPrice * PricingQuantity - BilledCost)) FROM focus_costs "
        "WHERE x_TokenClass != 'tokens_not_split'"
    )
    assert 0 < Decimal(str(most)) < Decimal("1e-9")


def test_classes_are_charged_at_their_own_rates(clickhouse, book):
    land(
        clickhouse,
        book,
        [
            event(1, input_tokens=10, cache_read_tokens=4, output_tokens=3),
            event(2, model="thirds", input_tokens=3, output_tokens=1),
        ],
    )
    record_all(clickhouse, book)
    found = clickhouse.query(
        "SELECT SkuId, BilledCost, ConsumedQuantity, ConsumedUnit, ListUnitPrice FROM focus_costs "
        "ORDER BY SkuId"
    )
    assert [(sku, f"{cost:f}", int(count), unit) for sku, cost, count, unit, _ in found] == [
        # 1, 3 × 0.083333333333 and 0.666666666667 in 1e-6 USD; what rounding leaves: to the largest
        ("own/thirds/input", "0.000000249999", 3, "Tokens"),
        ("own/thirds/output", "0.000000666666", 1, "Tokens"),
        ("own/thirds/requests", "0.000001000002", 1, "Requests"),
        ("own/whole/cache_read", "0.000005000000", 4, "Tokens"),
        ("own/whole/input", "0.000025000000", 10, "Tokens"),
        ("own/whole/output", "0.000030000000", 3, "Tokens"),
    ]
    assert str(found[0][4]).rstrip("0") == "0.083333333333"


def test_a_discount_is_between_the_list_price_and_the_contracted_one(clickhouse, tmp_path):
    (tmp_path / "deal.yaml").write_text(
        "discounts: [{provider: openai, percent: 12.5, effective_from: 2026-01-01}]"
    )
    deal, listed = PriceBook.load(tmp_path / "deal.yaml"), PriceBook.load()
    land(
        clickhouse,
        deal,
        [event(1, provider="openai", model="gpt-4o", input_tokens=1000, output_tokens=10)],
    )
    for book in (deal, listed):
        record_prices(clickhouse, book, [("openai", "gpt-4o", None, None)])
    found = clickhouse.query(
        "SELECT x_TokenClass, ListUnitPrice, ListCost, ContractedUnitPrice, ContractedCost, "
        "EffectiveCost, BilledCost, SkuPriceId FROM focus_costs ORDER BY x_TokenClass"
    )
    assert [tuple(f"{figure.normalize():f}" for figure in row[1:7]) for row in found] == [
        ("2.5", "0.0025", "2.1875", "0.0021875", "0.0021875", "0.0021875"),
        ("10", "0.0001", "8.75", "0.0000875", "0.0000875", "0.0000875"),
    ]
    assert [row[7] for row in found] == [
        "openai/gpt-4o/input/standard/2.5",
        "openai/gpt-4o/output/standard/10",
    ]


def test_calls_of_two_price_levels_in_one_row_stay_whole(clickhouse, book):
    same = {"model": "stepped", "occurred_at": NOON, "output_tokens": 10}
    land(clickhouse, book, [event(1, input_tokens=5, **same), event(2, input_tokens=5000, **same)])
    record_all(clickhouse, book)
    ((token_class, cost, tokens),) = clickhouse.query(
        "SELECT x_TokenClass, BilledCost, ConsumedQuantity FROM focus_costs"
    )
    assert (token_class, f"{cost:f}", tokens) == ("tokens_not_split", "0.010055000000", 5025)


def test_a_correction_of_a_month_that_is_over_has_the_class_and_one_within_has_none(clickhouse):
    within = journal_row(minute=NOON, cost=Decimal(1), input_tokens=5)
    adjust(clickhouse, "repricing", NOON + timedelta(days=1), within)
    adjust(clickhouse, "repricing", APRIL, within)
    assert clickhouse.query(
        "SELECT ChargeClass, x_CorrectionReason FROM focus_costs ORDER BY ChargeClass"
    ) == [("Correction", "repricing"), (None, "repricing")]


def test_a_late_event_is_a_correction_once_its_month_was_closed(clickhouse):
    ledger = Ledger(clickhouse, JOURNAL)
    for position in (0, 1):
        ranges = (covering(position, position),)
        rows = journal_rows(journal_row(minute=NOON, input_tokens=5))
        ledger.write(position, ranges, Counted(ranges, None, rows), APRIL)
        if not position:
            assert clickhouse.query("SELECT ChargeClass FROM focus_costs") == [(None,)]
            record(clickhouse, draft(clickhouse, MARCH, "ada", "", APRIL))
    assert clickhouse.query(
        "SELECT ChargeClass, x_CorrectionReason FROM focus_costs ORDER BY ChargeClass"
    ) == [("Correction", "late event"), (None, None)]


def test_money_without_usage_is_an_adjustment(clickhouse):
    adjust(clickhouse, "true_up", APRIL, journal_row(minute=NOON, calls=0, cost=Decimal("-2.5")))
    assert clickhouse.query(
        "SELECT ChargeCategory, ChargeFrequency, BilledCost, ConsumedQuantity, SkuId, "
        "ListUnitPrice FROM focus_costs"
    ) == [("Adjustment", "One-Time", Decimal("-2.5"), None, None, None)]


def test_the_command_records_prices_and_says_what_is_no_charge(
    clickhouse, book, tmp_path, monkeypatch, capsys
):
    land(clickhouse, book, [event(1, input_tokens=10), event(2, model="no-such", input_tokens=1)])
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", clickhouse.url)
    monkeypatch.setenv("SPENDSTREAM_PRICES", str(tmp_path / "prices.yaml"))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["export", "focus", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    code, out, _ = command("--month", "2026-03", "--out", "out")
    assert code == 0
    assert "focus-1.2-2026-03.csv: 1 rows" in out
    assert "calls that are no charge: 1 without a known price" in out
    assert "not split" not in out
    code, _, err = command("--month", "2026-04", "--out", "out")
    assert (code, err) == (2, "spendstream: --month: the ledger has no cost in 2026-04 (UTC)\n")
    code, _, err = command("--month", "2026-03", "--out", "out", "--account", "openai")
    assert code == 2
    assert "write provider=id or provider=id:name" in err


def test_charges_that_are_not_the_ledger_are_no_file(clickhouse, book, monkeypatch):
    land(clickhouse, book, [event(1, input_tokens=10)])
    clickhouse.command("DROP VIEW focus_costs")
    clickhouse.command(
        "CREATE VIEW focus_costs AS SELECT toDate('2026-03-01') AS x_Day, "
        "toDecimal128(1, 12) AS BilledCost, '' AS x_TokenClass, '' AS ChargeClass"
    )
    with pytest.raises(NotTheLedger, match=r"2026-03: the charges come to 1\.0+ USD"):
        charges_of(clickhouse, MARCH)
