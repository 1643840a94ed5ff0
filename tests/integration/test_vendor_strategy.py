"""`spendstream report vendors` and `spendstream whatif`: metered events in, figures out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.journal import Counted
from schemas.usage import UsageEvent
from schemas.wire import encode_json, no_registry
from sinks.budget_log import BudgetLog, StandingRow
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.migrate import migrate
from streams.cli.main import main
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.rating.pricebook import PriceBook
from tests.support.ledger_rows import JOURNAL, SOURCE
from tests.support.records import Record

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]
NOVEMBER = ("--from", "2026-11-01", "--to", "2026-11-30")
PRICES = """
prices:
  - {provider: own, model: big, effective_from: 2026-01-01, usd_per_call: 0.01,
     usd_per_million_tokens: {input: 2, output: 10},
     tiers: [{above_input_tokens: 100000, usd_per_million_tokens: {input: 4, output: 20}}]}
  - {provider: own, model: big, region: eu, effective_from: 2026-01-01,
     usd_per_million_tokens: {input: 3, output: 15}}
  - {provider: own, model: small, effective_from: 2026-01-01,
     usd_per_million_tokens: {input: 0.2, output: 1}}
  - {provider: own, model: small, effective_from: 2026-11-15,
     usd_per_million_tokens: {input: 0.1, output: 0.5}}
  - {provider: own, model: writer, effective_from: 2026-01-01,
     usd_per_million_tokens: {output: 1}}
"""


def call(number: int, day: int, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "occurred_at": datetime(2026, 11, day, 12, number % 60, tzinfo=UTC),
        "provider": "own",
        "model": "big",
        "team": "search",
        "usage_source": "reported",
        "input_tokens": 10_000,
        "output_tokens": 1_000,
    } | fields


CALLS = [
    call(1, 2),
    call(2, 20),
    call(3, 20, input_tokens=200_000, team="support"),
    call(4, 3, model="unheard-of"),
    call(5, 3, served_from_cache=True),
    call(6, 4, usage_source="missing", input_tokens=None, output_tokens=None),
    call(7, 5, region="eu"),
    call(8, 2, team="support", model="small"),
]


def record_budgets(connection: ClickHouse) -> None:
    """Two months' budgets in Hong Kong dollars: of everybody, and of team support's big model."""
    start = datetime(2026, 10, 31, 16, tzinfo=UTC)
    end = datetime(2026, 11, 30, 16, tzinfo=UTC)

    def standing(name: str, limit: str, used_usd: str, selects: dict[str, list[str]]) -> Any:
        return StandingRow(
            budget=name,
            each=(),
            member=(),
            scope={key: values[0] for key, values in selects.items()},
            selects=selects,
            period="2026-11",
            period_start=start,
            period_end=end,
            unit="HKD",
            limit=Decimal(limit),
            used=Decimal(used_usd) * 8,
            used_usd=Decimal(used_usd),
            hourly=None,
            forecast=None,
            breach_at=None,
            journal=JOURNAL,
            position=0,
            as_of=end,
        )

    rows = [
        standing("everybody", "10", "0.958", {}),
        standing("support", "100", "0.833", {"team": ["support"]}),
    ]
    BudgetLog(connection).record(rows, end)


@pytest.fixture(scope="module")
def metered(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The price file of a ledger, `vendors`, that has the calls."""
    prices = tmp_path_factory.mktemp("prices") / "prices.yaml"
    prices.write_text(PRICES)
    server = ClickHouse(endpoint)
    server.command("CREATE DATABASE vendors")
    connection = ClickHouse(endpoint, database="vendors")
    migrate(connection)
    values = [encode_json(UsageEvent.model_validate(fields)) for fields in CALLS]
    span = Span(SOURCE, 0, 0, [Record(0, offset, value) for offset, value in enumerate(values)])
    book = PriceBook.load(prices)
    (draft,) = meter_batch([span], {0: IdWindow(1000)}, book, no_registry, 10**6).drafts
    counted = Counted(draft.ranges, None, draft.rows)
    Ledger(connection, JOURNAL).write(0, draft.ranges, counted, datetime.now(UTC))
    record_budgets(connection)
    yield prices
    connection.close()
    server.command("DROP DATABASE vendors")
    server.close()


@pytest.fixture
def run(
    metered: Path,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Any,
) -> Run:
    """Run `spendstream` over it: exit code, stdout, stderr."""
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", "vendors")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", endpoint)
    monkeypatch.setenv("SPENDSTREAM_PRICES", str(metered))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def test_usage_is_priced_elsewhere_at_its_own_time_and_size(run):
    code, out, err = run(
        "report", "vendors", *NOVEMBER, "--to-model", "own/small", "--tokens", "1..2", "--json"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    (one,) = found["compared"]
    # Two calls of 0.02 + 0.01 + 0.01, a long one of 0.8 + 0.02 + 0.01, one in the EU of 0.045.
    assert Decimal(one["cost_usd"]) == Decimal("0.955")
    assert Decimal(one["cost_by_book_usd"]) == Decimal("0.955")
    # Before the 15th 0.2 and 1 a million, afterwards half of it.
    low = 2 * Decimal("0.003") + Decimal("0.0015") + Decimal("0.0205")
    assert Decimal(one["low_usd"]) == low
    assert Decimal(one["high_usd"]) == 2 * low
    assert one["calls"] == 4
    assert found["not_chosen"] == [{"provider": "own", "model": "small", "cost_usd": "0.003"}]
    assert found["not_compared_calls"] == {"unpriced": 1, "no_usage": 1, "from_cache": 1}


def test_a_model_in_another_region_has_the_price_of_that_region(run):
    _, out, _ = run(
        "report", "vendors", *NOVEMBER, "--to-region", "eu", "--model", "own/big", "--json"
    )
    (one,) = json.loads(out)["compared"]
    assert (one["to_model"], one["to_region"]) == ("big", "eu")
    assert one["low_usd"] == one["high_usd"] == "0.75"


def test_a_bucket_without_a_rate_is_not_comparable_and_never_zero(run):
    code, out, _ = run("report", "vendors", *NOVEMBER, "--to-model", "own/writer")
    assert code == 0
    assert "not comparable: no input known there" in out
    assert "Nothing is cheaper over its whole range." in out


def test_only_one_teams_calls_are_compared_where_it_is_named(run):
    _, out, _ = run(
        "report", "vendors", *NOVEMBER, "--to-model", "own/small", "--team", "support", "--json"
    )
    assert [one["calls"] for one in json.loads(out)["compared"]] == [1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to compare with; say --to-model provider/model"),
        (("--to-model", "own/smal"), "did you mean own/small"),
        (("--to-model", "own/small", "--model", "own/bigg"), "did you mean own/big?"),
        (("--to-model", "own/small", "--team", "serch"), "did you mean search?"),
        (("--to-model", "own/small", "--tokens", "2..1"), "--tokens: '2..1' is no range"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_would_be_right(run, arguments, said):
    code, out, err = run("report", "vendors", *NOVEMBER, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_days_without_calls_are_said(run):
    days = ("--from", "2025-01-01", "--to", "2025-01-31")
    code, _, err = run("report", "vendors", *days, "--to-model", "own/small")
    assert code == 2
    assert "there are no priced calls from 2025-01-01 to 2025-01-31 (UTC)" in err


def test_a_scenario_multiplies_what_it_is_about_and_leaves_the_rest(run):
    code, out, err = run(
        *("whatif", "--price", "+30%..+50%", "--usage", "x4", "--model", "big"),
        *("--month", "2026-11", "--json"),
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    low, high = Decimal("0.955") * 4 * Decimal("1.3"), Decimal("0.955") * 4 * Decimal("1.5")
    assert found["total"]["base_usd"] == "0.958"
    assert Decimal(found["total"]["low_usd"]) == low + Decimal("0.003")
    assert Decimal(found["total"]["high_usd"]) == high + Decimal("0.003")
    models = {one["name"]: one for one in found["by_model"]}
    assert models["own/small"]["low_usd"] == models["own/small"]["base_usd"] == "0.003"
    assert models["own/unheard-of"]["base_usd"] is None
    assert found["calls_without_known_cost"] == 2


def test_a_scenario_is_held_against_the_budgets_of_its_month_in_their_currency(run):
    _, out, _ = run("whatif", "--usage", "x2", "--model", "big", "--month", "2026-11", "--json")
    everybody, support = json.loads(out)["budgets"]
    assert (everybody["budget"], everybody["unit"]) == ("everybody", "HKD")
    assert Decimal(everybody["low"]) == 8 * (2 * Decimal("0.955") + Decimal("0.003"))
    assert Decimal(support["high"]) == 8 * (2 * Decimal("0.83") + Decimal("0.003"))
    _, out, _ = run("whatif", "--usage", "x2..x4", "--month", "2026-11")
    assert "Budgets over their limit: 1 of 2" in out
    assert "everybody                HK$10  HK$7.66  HK$15.33 to HK$30.66 (153 % to 306 %)" in out


def test_without_options_it_is_the_scenario_of_the_example_over_the_newest_month(run):
    _, out, _ = run("whatif")
    assert out.startswith("What if prices +30%..+50% and usage x4?\non 2026-11-01 to 2026-11-30")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--provider", "onw"), "--provider: no spend of these days has 'onw'; did you mean own?"),
        (("--model", "own/big"), "write --provider own --model big"),
        (("--month", "2025-01"), "there is no spend from 2025-01-01 to 2025-01-31 (UTC)"),
        (("--month", "2026-11", "--from", "2026-11-01"), "says the days already"),
        (("--from", "2026-11-01"), "--from and --to go together"),
        (("--price", "30%"), "say in which direction: +30% or -30%"),
    ],
)
def test_a_mistake_of_a_scenario_is_one_line(run, arguments, said):
    code, out, err = run("whatif", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
