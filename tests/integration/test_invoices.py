"""Invoices against the ledger: imported once, explained to the last digit, trued up once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import UserError
from streams.cli.main import main
from streams.explain.cell import Cell, explain_cell
from streams.guard.money import usd
from streams.invoices.attribution import DUPLICATE, MISSING, PRICE, TIME_ZONE, TOKEN_CLASS
from streams.invoices.trueup import due, true_up
from streams.invoices.variance import Variance, compare
from streams.rating.pricebook import PriceBook
from streams.reconciliation.verdict import reconcile
from tests.integration.test_reconcile import Pipeline
from tests.integration.test_repricing import CutOff, Journal
from tests.support.events import PRICES
from tests.support.ledger_rows import JOURNAL

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data" / "invoices"
NOV = date(2026, 11, 1)
HEAD = "start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item"
RATES = {"input": Decimal(1), "cached input": Decimal(1), "output": Decimal(1)}
"""USD for a million tokens of the model `unit`, as in `PRICES`."""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(PRICES)
    return file


@pytest.fixture
def pipeline(clickhouse, prices) -> Pipeline:
    """Two teams, three days, in November 2026, at noon UTC: 3,000 and 1,000 tokens a day."""
    pipeline = Pipeline(clickhouse, PriceBook.load(prices))
    for day in range(3):
        at = datetime(2026, 11, 1 + day, 12, tzinfo=UTC)
        pipeline.both(
            0,
            call(f"a{day}", at, "search", input_tokens=2000, output_tokens=1000),
            call(f"b{day}", at, "support", input_tokens=1000),
        )
    return pipeline


@pytest.fixture
def run(
    clickhouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, prices: Path
) -> Run:
    """`spendstream invoice …` against the test's database."""
    monkeypatch.chdir(tmp_path)
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SPENDSTREAM_PRICES", str(prices))

    def command(*arguments: str) -> tuple[int, str, str]:
        where = ("--clickhouse", clickhouse.url)
        with pytest.raises(SystemExit) as ended:
            main(["invoice", *arguments, *where])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def call(event_id: str, at: datetime, team: str, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "occurred_at": at.isoformat(),
        "provider": "own",
        "model": "unit",
        "team": team,
        "usage_source": "reported",
    } | fields


def line(day: int, kind: str, tokens: int | str, amount: Decimal | str, model: str = "unit") -> str:
    return (
        f"2026-11-{day:02}T00:00:00Z,2026-11-{day + 1:02}T00:00:00Z,{amount},usd,{tokens},tokens,"
        f'"{model}, {kind}"'
    )


def lines(*more: str, **changes: Any) -> list[str]:
    """An invoice that says what was metered, with other lines for some ``d<day>_<kind>``."""
    told = []
    for day in (1, 2, 3):
        for kind, tokens in (("input", 3000), ("output", 1000)):
            said = changes.get(f"d{day}_{kind}", changes.get(kind, (tokens, None)))
            tokens, amount = said
            told.append(line(day, kind, tokens, amount or Decimal(tokens) / 10**6))
    return [*told, *more]


@pytest.fixture
def bill(run: Run, tmp_path: Path) -> Callable[..., str]:
    """Imports an invoice with these lines."""

    def imported(*said: str, code: int = 0, options: tuple[str, ...] = ()) -> str:
        file = tmp_path / "costs.csv"
        file.write_text("\n".join([HEAD, *said]) + "\n")
        ended, out, err = run("import", str(file), "--provider", "own", *options)
        assert ended == code, err
        return out

    return imported


def compared(pipeline: Pipeline, **options: Any) -> Variance:
    return compare(pipeline.clickhouse, pipeline.book, "own", NOV, **options)


def parts(pipeline: Pipeline, **options: Any) -> dict[str, Decimal]:
    found = compared(pipeline, **options)
    assert sum(found.parts.values()) == sum(row.variance for row in found.rows)
    for row in found.rows:
        assert sum(row.parts.values()) == row.variance
    return {cause: usd(amount).normalize() for cause, amount in found.parts.items()}


def view(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.clickhouse.query(
        "SELECT day, model, invoiced_usd, metered_usd, trued_up_usd, variance_usd "
        "FROM invoice_variance WHERE variance_usd != 0 ORDER BY ALL"
    )


def applied(pipeline: Pipeline, journal: Journal | None = None) -> list[str]:
    return asyncio.run(
        true_up(
            pipeline.clickhouse,
            journal or Journal(pipeline),
            JOURNAL,
            ("own", NOV),
            lambda: compared(pipeline),
            "ada: invoice 4711",
            lambda _: None,
        )
    )


def test_an_invoice_that_says_what_was_metered_leaves_nothing_to_explain(pipeline, bill):
    bill(*lines())
    assert parts(pipeline) == {}
    assert view(pipeline) == []
    assert applied(pipeline) == []


def test_importing_again_changes_nothing_and_a_corrected_export_replaces(pipeline, bill, run):
    assert "new 6, changed 0, known before 0" in bill(*lines())
    assert "new 0, changed 0, known before 6" in bill(*lines())
    corrected = lines(d1_input=(3000, Decimal("0.5")))
    assert "new 0, changed 1, known before 5" in bill(*corrected)
    (total,) = pipeline.clickhouse.query("SELECT sum(usd), count() FROM invoice_lines")
    assert total == (Decimal("0.509"), 6)
    out = bill(*corrected[:4], corrected[5])
    assert "1 lines of these days and accounts came by an earlier export" in out
    assert "taken out, as this export does not have them: 1" in bill(
        *corrected[:4], corrected[5], options=("--replace",)
    )
    assert pipeline.clickhouse.query("SELECT count() FROM invoice_lines") == [(5,)]
    assert "new 0, changed 1, known before 5" in bill(*corrected)


def test_lines_that_cannot_be_read_are_listed_and_the_others_kept(pipeline, bill):
    out = bill(*lines(line(1, "input", 1, "one"), line(1, "input", 1, "")), code=1)
    assert "could not be read: 1" in out
    assert "line 8: amount_value: is 'one'; a number was expected" in out
    assert "passed over: 1 no amount (line 9: a day without costs)" in out
    assert pipeline.clickhouse.query("SELECT count() FROM invoice_lines") == [(6,)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"d2_input": (3500, None)}, {MISSING: "0.0005"}),
        ({"d2_output": (400, None)}, {DUPLICATE: "-0.0006"}),
        ({"input": (3000, Decimal("0.0045"))}, {PRICE: "0.0045"}),
        ({"d1_input": (3500, Decimal("0.007"))}, {PRICE: "0.003", MISSING: "0.001"}),
    ],
)
def test_the_cause_of_a_difference_is_found(pipeline, bill, changes, expected):
    bill(*lines(**changes))
    assert parts(pipeline) == {cause: Decimal(amount) for cause, amount in expected.items()}


def test_the_same_tokens_split_otherwise_are_no_missing_events(pipeline, bill):
    cached = line(2, "cached input", 1000, Decimal("0.0001"))
    bill(*lines(cached, d2_input=(2000, None)))
    assert parts(pipeline) == {TOKEN_CLASS: Decimal("-0.0009")}


def test_without_quantities_one_factor_on_all_days_is_the_price(pipeline, bill):
    bill(
        *[
            said.replace(",3000,", ",,").replace(",1000,", ",,")
            for said in lines(input=(3000, Decimal("0.006")), output=(1000, Decimal("0.002")))
        ]
    )
    assert parts(pipeline) == {PRICE: Decimal("0.012")}
    bill(
        *[
            said.replace(",3000,", ",,").replace(",1000,", ",,")
            for said in lines(d1_input=(3000, Decimal("0.006")))
        ]
    )
    assert parts(pipeline) == {MISSING: Decimal("0.003")}


def test_days_of_another_zone_are_a_shift_and_no_difference(pipeline, bill):
    at = datetime(2026, 11, 2, 3, tzinfo=UTC)  # still the 1st in Los Angeles
    pipeline.both(0, call("night", at, "search", input_tokens=500))
    bill(*lines(d1_input=(3500, None)))
    found = compared(pipeline, zone="America/Los_Angeles")
    assert [row.parts for row in found.rows] == [
        {TIME_ZONE: 5 * 10**8},
        {TIME_ZONE: -5 * 10**8},
        {},
    ]
    assert sum(row.variance for row in found.rows) == 0
    assert compared(pipeline).zone == "UTC"
    assert set(parts(pipeline)) == {MISSING, DUPLICATE}


def test_google_is_compared_by_pacific_days_by_itself(clickhouse, run):
    pipeline = Pipeline(clickhouse, PriceBook.load())
    for name, at in (
        ("day", datetime(2026, 11, 1, 20, tzinfo=UTC)),
        ("night", datetime(2026, 11, 2, 6, tzinfo=UTC)),
    ):
        pipeline.both(
            0,
            call(
                name,
                at,
                "search",
                provider="gcp.vertex_ai",
                model="gemini-2.5-flash",
                input_tokens=1_000_000,
                output_tokens=300_000,
            ),
        )
    provider = ("--provider", "gcp.vertex_ai")
    code, out, _ = run("import", str(DATA / "google_console.csv"), *provider)
    assert code == 0
    assert "passed over: 1 another service (line 10: is charged for Compute Engine)" in out
    code, out, _ = run("report", *provider, "--month", "2026-11", "--json")
    found = json.loads(out)
    assert found["days_of_zone"] == "America/Los_Angeles"
    assert found["attribution_usd"]["taxes"] == "0.1"
    assert [row["attribution_usd"] for row in found["rows"] if row["model"]] == [
        {"time_zone": "1.05"}
    ]


def test_what_is_on_one_side_only_is_named(pipeline, bill, clickhouse, prices):
    at = datetime(2026, 11, 2, 12, tzinfo=UTC)
    pipeline.both(0, call("u", at, "ads", model="unknown", input_tokens=700))
    credit = '2026-11-02T00:00:00Z,,-0.002,usd,,,"Promotional credit"'
    fee = '2026-11-02T00:00:00Z,,0.003,usd,,,"web search tool calls"'
    unknown = line(2, "input", 700, Decimal("0.0021"), "unknown")
    other = line(2, "input", 100, Decimal("0.01"), "other")
    said = bill(*[x for x in lines() if "unit, output" not in x], credit, fee, unknown, other)
    assert "no model of the ledger has these names: other ($0.01)" in said
    assert parts(pipeline) == {
        "credits": Decimal("-0.002"),
        "fees": Decimal("0.003"),
        "unpriced_models": Decimal("0.0021"),
        MISSING: Decimal("0.01"),
        DUPLICATE: Decimal("-0.003"),
    }


def test_a_model_that_the_invoice_does_not_have_is_named(pipeline, bill):
    bill(*(line(day, "input", 5, Decimal("0.25"), "other") for day in (1, 3)))
    assert parts(pipeline) == {MISSING: Decimal("0.5"), "not_on_invoice": Decimal("-0.012")}


def test_days_that_the_invoice_has_not_come_to_are_left_out_and_said(pipeline, bill, run):
    bill(*lines()[:4])
    found = compared(pipeline)
    assert (found.span.last, usd(found.outside)) == (date(2026, 11, 2), Decimal("0.004"))
    assert found.parts == {}
    assert parts(pipeline, whole=True) == {DUPLICATE: Decimal("-0.004")}


def test_a_true_up_makes_the_ledger_equal_once_and_a_correction_the_rest(pipeline, bill):
    bill(*lines(input=(3000, Decimal("0.004500000001"))))
    left = due(pipeline.clickhouse, compared(pipeline))
    # 3/4 and 1/4: search has used 3,000 of the 4,000 tokens of each day.
    assert dict(left.by_team()) == {"search": 3375000003, "support": 1125000000}
    assert applied(pipeline) == ["true_up/invoice/own/2026-11/0"]
    assert view(pipeline) == []
    assert applied(pipeline) == []
    assert parts(pipeline) == {
        PRICE: Decimal("0.004500000003"),
        "already_trued_up": Decimal("-0.004500000003"),
    }
    bill(*lines(input=(3000, Decimal("0.004"))))
    assert applied(pipeline) == ["true_up/invoice/own/2026-11/1"]
    assert view(pipeline) == []
    assert pipeline.clickhouse.query("SELECT sum(cost) FROM spend WHERE provider = 'own'") == [
        (Decimal("0.015"),)
    ]
    assert pipeline.clickhouse.query("SELECT DISTINCT note FROM adjusted_spend") == [
        ("ada: invoice 4711",)
    ]
    assert reconcile(pipeline.clickhouse, pipeline.guard()).ok


def test_a_true_up_in_several_entries_that_is_cut_off_is_completed(pipeline, bill, monkeypatch):
    monkeypatch.setattr("streams.invoices.trueup.MOST_ROWS", 3)
    bill(*lines(input=(3000, Decimal("0.0045"))))
    with pytest.raises(CutOff):
        applied(pipeline, Journal(pipeline, 1))
    assert applied(pipeline) == [f"true_up/invoice/own/2026-11/{n}" for n in (1, 2)]
    assert view(pipeline) == []


def test_of_two_at_the_same_time_nothing_counts_twice(pipeline, bill):
    bill(*lines(input=(3000, Decimal("0.0045"))))
    first = Journal(pipeline)
    applied(pipeline, first)
    for headers, payload in first.sent:  # the other had worked out the same, and is late
        first.append(headers, payload)
    assert view(pipeline) == []


def test_what_nobody_here_used_is_trued_up_for_unattributed(pipeline, bill):
    bill(*lines(line(9, "input", 5, Decimal("0.25"), "elsewhere")))
    applied(pipeline)
    rows = pipeline.clickhouse.query(
        "SELECT team, toDate(minute), sum(cost) FROM spend WHERE model = 'elsewhere' GROUP BY 1, 2 "
        "ORDER BY 1"
    )
    # Nothing of the model: by what was used of the provider.
    assert rows == [
        ("search", date(2026, 11, 9), Decimal("0.1875")),
        ("support", date(2026, 11, 9), Decimal("0.0625")),
    ]


def test_lines_over_a_month_are_compared_by_month_and_trued_up_by_day(pipeline, bill):
    whole = '2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,{},usd,{},tokens,"unit, {}"'
    bill(whole.format("0.018", 9000, "input"), whole.format("0.003", 3000, "output"))
    found = compared(pipeline)
    assert (found.monthly, len(found.rows)) == (True, 1)
    assert parts(pipeline) == {PRICE: Decimal("0.009")}
    applied(pipeline)
    assert pipeline.clickhouse.query(
        "SELECT toDate(minute), sum(cost) FROM spend WHERE kind = 'true_up' GROUP BY 1 ORDER BY 1"
    ) == [(date(2026, 11, day), Decimal("0.003")) for day in (1, 2, 3)]
    assert parts(pipeline)["already_trued_up"] == Decimal("-0.009")
    assert applied(pipeline) == []


def test_an_invoice_of_credits_only_trues_up_nothing(pipeline, bill):
    bill('2026-11-02T00:00:00Z,,-0.002,usd,,,"Promotional credit"')
    with pytest.raises(UserError, match="has no usage"):
        due(pipeline.clickhouse, compared(pipeline))


def test_a_cell_of_the_ledger_is_explained_with_its_true_up(pipeline, bill):
    bill(*lines(d2_input=(3500, None)))
    applied(pipeline)
    until = datetime(2026, 12, 1, tzinfo=UTC)
    cell = Cell(datetime(2026, 11, 1, tzinfo=UTC), until, {"team": ("search",)})
    archived = explain_cell(pipeline.clickhouse, cell).because[2]
    assert archived.doubt is None
    assert archived.facts[0].endswith("beside true-ups of $0.000375, which have no events")


def test_report_and_preview_are_told(pipeline, bill, run):
    bill(*lines(d2_input=(3500, None)))
    of = ("--provider", "own", "--month", "2026-11")
    code, out, _ = run("report", *of)
    assert code == 0
    assert "invoiced $0.0125, metered $0.012: +$0.0005 on the invoice (+4.00 %)" in out
    assert "missing events  +$0.0005  they count tokens that were not metered" in out
    code, out, _ = run("true-up", *of)
    assert "to true up: +$0.0005" in out
    assert "not applied: --yes applies it" in out
    code, out, _ = run("true-up", *of, "--json")
    assert json.loads(out)["teams"] == {"search": "0.000375", "support": "0.000125"}
    assert json.loads(out)["adjustments"] is None


def test_mistakes_are_one_line(pipeline, bill, run, tmp_path):
    bill(*lines())
    file = tmp_path / "costs.csv"
    for arguments, said in [
        (("import", "nowhere.csv", "--provider", "own"), "nowhere.csv: No such file"),
        (("import", str(file), "--provider", "Own"), "did you mean own?"),
        (("import", str(file), "--provider", "own", "--format", "azure"), "is no Azure cost det"),
        (("import", str(file), "--provider", "own", "--rate", "EUR"), "--rate EUR: write"),
        (("import", str(file), "--provider", "own", "--map", "x"), "--map x: write"),
        (("import", str(file), "--provider", "own", "--map", "x=y"), "there are unit"),
        (("report", "--provider", "own", "--month", "2026-10"), "there are 2026-11"),
        (("report", "--provider", "openai", "--month", "2026-11"), "there are invoices of own"),
        (("report", "--provider", "own", "--month", "11"), "'11' is no month"),
        (("report", "--provider", "own", "--month", "2026-11", "--zone", "PT"), "no time zone"),
    ]:
        code, _, err = run(*arguments)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1
