"""`spendstream report routing`: rows in, report out, against figures worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.journal import Counted, SourcePartition
from schemas.outcome import checked_outcome
from schemas.usage import UsageEvent
from schemas.wire import encode_json, no_registry
from sinks.archive import Archive, Landed
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.outcomes import Outcomes, Read, Reported
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.cli.main import main
from streams.guard.concern import AsOf
from streams.landing.archive import archive_rows
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.support.events import PRICES, call
from tests.support.ledger_rows import JOURNAL, NOON, covering, journal_row, journal_rows
from tests.support.records import Record

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]
SOURCE = "cluster/llm.usage"


@pytest.fixture
def run(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> Run:
    """Run `spendstream report routing`: exit code, stdout, stderr."""
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", clickhouse.url)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["report", "routing", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def land(clickhouse: ClickHouse, folder: Path, events: list[dict[str, Any]]) -> None:
    """Archive these events, a million tokens for a dollar."""
    prices = folder / "prices.yaml"
    prices.write_text(PRICES)
    values = [encode_json(UsageEvent.model_validate(fields)) for fields in events]
    records = [Record(0, offset, value) for offset, value in enumerate(values)]
    decoded, refused = decoded_records(records, PriceBook.load(prices), no_registry)
    assert not refused
    archive = Archive(clickhouse, SOURCE)
    span = Landed(SourcePartition(SOURCE, 0), 0, len(records) - 1)
    archive.write(archive_rows(decoded), [span], archive.register_source())


def judge(clickhouse: ClickHouse, *scores: tuple[str, str, str | None]) -> None:
    """Quality outcomes: event_id, value, team."""
    reported = [
        Reported(
            checked_outcome(
                {
                    "outcome_id": f"q-{number}",
                    "occurred_at": "2026-03-12T08:00:00Z",
                    "of": event_id,
                    "name": "quality",
                    "value": value,
                    "team": team,
                }
            ),
            0,
            number,
            1_000,
        )
        for number, (event_id, value, team) in enumerate(scores)
    ]
    Outcomes(clickhouse, "cluster/llm.outcomes").write(reported, {0: Read(len(scores) - 1)})


def routed(event_id: str, tokens: int, tier: str | None = "frontier", **more: Any) -> Any:
    fields = {"use_case": "chat", "routing_tier": tier, "routing_reason": "rule: long", **more}
    return call(event_id, "search", tokens, **fields)


def shadow(of: str, tokens: int, **more: Any) -> Any:
    fields = {"shadow_of": of, "routing_reason": "shadow", **more}
    return routed(f"{of}-shadow", tokens, "cost-optimised", **fields)


def pair(number: int) -> list[Any]:
    return [routed(f"c{number}", 4_000_000), shadow(f"c{number}", 1_000_000)]


LAST_MINUTE = "2026-03-09T23:59:59Z"


def test_the_report_is_what_was_worked_out_by_hand(clickhouse, tmp_path, run):
    events = [event for number in range(36) for event in pair(number)]
    events[0]["occurred_at"] = LAST_MINUTE  # its shadow came in the period
    events += [
        *(routed(f"left{n}", 10_000_000) for n in range(4)),
        routed("already", 500_000, "cost-optimised", routing_reason="rule: short"),
        routed("unpriced", 1, model="unheard-of"),
        # What failed, and what a cache answered, is a pair, and its costs are not compared.
        routed("failed", 9_000_000, use_case="chat", status="timeout"),
        shadow("failed", 1),
        # What was taken back is none.
        *pair(90),
        call("void:c90", "search", 4_000_000, kind="void", voids="c90")
        | {"use_case": "chat", "routing_tier": "frontier", "routing_reason": "rule: long"},
        # Another use case, with too few pairs; and what no router saw.
        routed("code", 2_000_000, use_case="code"),
        shadow("code", 1_000_000, use_case="code"),
        call("plain", "search", 3_000_000),
        call("foreign", "ads", 7_000_000, use_case="chat", routing_tier="frontier"),
    ]
    land(clickhouse, tmp_path, events)
    judge(
        clickhouse,
        *((f"c{n}", "0.9", "search") for n in range(36)),
        # 18 shadows as good, and 18 worse by one: t(0.975; 35) · √(9/35) / 6 = 0.171575.
        *((f"c{n}-shadow", "0.9" if n % 2 else "-0.1", None) for n in range(36)),
        ("c0-shadow", "5", "ads"),  # another team's judgement of it
    )
    days = ("--from", "2026-03-10", "--to", "2026-03-10", "--team", "search")
    code, said, _ = run(*days, "--json")
    report = json.loads(said)
    assert code == 0
    chat, coding = report["pairs"]
    quality = chat.pop("quality")
    assert chat == {
        "use_case": "chat",
        "call_tier": "frontier",
        "shadow_tier": "cost-optimised",
        "pairs": 37,
        "compared": 36,
        "call_cost_usd": "144",
        "shadow_cost_usd": "36",
        "difference_usd": "-108",
    }
    assert quality["judged"] == 36
    assert [quality[name] for name in ("mean_difference", "low", "high")] == pytest.approx(
        [-0.5, -0.671575, -0.328425], abs=2e-6
    )
    assert (coding["use_case"], coding["compared"]) == ("code", 1)
    assert coding["quality"]["mean_difference"] is None
    assert [one["compared"] for one in report["over_use_cases"]] == [37]
    full = report["full_routing"]
    # Of the day: 35 of the pairs' calls, four more, the failed one, and one without a cost.
    cost = 35 * 4 + 4 * 10 + 9
    assert (Decimal(full["of_cost_usd"]), Decimal(full["saving_usd"])) == (
        Decimal(cost),
        Decimal(cost) * 3 / 4,
    )
    assert [(one["use_case"], one["cost_usd"]) for one in full["not_estimated"]] == [
        ("code", "2"),
        (None, "3"),
    ]
    decisions = {(one["tier"], one["reason"]): one for one in report["decisions"]}
    assert decisions["frontier", "rule: long"]["calls"] == 35 + 4 + 1 + 1 + 1
    assert decisions["frontier", "rule: long"]["calls_without_cost"] == 1
    assert decisions["cost-optimised", "rule: short"]["cost_usd"] == "0.5"
    assert decisions[None, None]["cost_usd"] == "3"

    code, said, _ = run(*days)
    assert code == 0
    assert "It would have saved about $141.75 of $189.00." in said
    assert "-0.500 [-0.672, -0.328]" in said
    assert "Not estimated, for fewer than 30 pairs: 2 calls of $5.00." in said
    assert "It assumes that the shadowed calls are a random sample" in said


def test_what_cannot_be_reported_is_one_clear_sentence(clickhouse, tmp_path, run):
    days = ("--from", "2026-03-10", "--to", "2026-03-10")
    assert run(*days)[::2] == (
        2,
        "spendstream: there are no calls from 2026-03-10 to 2026-03-10 (UTC)\n",
    )
    code, _, said = run("--from", "10.3.", "--to", "2026-03-10")
    assert (code, said) == (
        2,
        "spendstream: --from: '10.3.' is no day; write it as 2026-03-31\n",
    )
    code, _, said = run("--from", "2026-03-11", "--to", "2026-03-10")
    assert (code, said) == (
        2,
        "spendstream: --to: 2026-03-10 is before --from 2026-03-11; exchange them\n",
    )
    land(clickhouse, tmp_path, [routed("a", 1_000_000)])
    code, said, _ = run(*days)
    assert code == 0
    assert "There are no pairs to compare: no call of this time was shadowed" in said
    assert "rule: long" in said
    assert "no calls of team 'ads'" in run(*days, "--team", "ads")[2]


@pytest.mark.parametrize(("shadow_calls", "used"), [("count", 7), ("ignore", 3)])
def test_budgets_of_the_ledger_count_shadow_calls_as_the_file_says(clickhouse, shadow_calls, used):
    rows = journal_rows(journal_row(cost=Decimal(3)), journal_row(cost=Decimal(4), is_shadow=True))
    ranges = (covering(0, 0),)
    Ledger(clickhouse, JOURNAL).write(0, ranges, Counted(ranges, None, rows), datetime.now(UTC))
    document = {"shadow": shadow_calls, "budgets": [{"name": "b", "limit": 10}]}
    budgets = Budgets(BudgetBook.model_validate(document))
    budgets.load(clickhouse, AsOf(JOURNAL, 0), NOON)
    assert [spent.used for spent in budgets.current(NOON)] == [used]
