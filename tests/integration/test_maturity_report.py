"""`spendstream report maturity` on a database of which the answers are known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts import Alert
from schemas.journal import Adjustment, Counted
from schemas.outcome import checked_outcome
from schemas.usage import UsageEvent
from sinks.alert_log import AlertLog
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.migrate import migrate
from sinks.outcomes import Outcomes, Read, Reported
from streams.cli import report_maturity
from streams.cli.main import main
from tests.support.landed_month import land_budgets, land_events
from tests.support.ledger_rows import JOURNAL, SOURCE, journal_row, journal_rows

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]
START = datetime(2026, 11, 3, tzinfo=UTC)
DAYS = ("--from", "2026-11-01", "--to", "2026-11-30")
BOOK = {"budgets": [{"name": "organisation", "limit": "40"}]}


def events() -> Iterator[UsageEvent]:
    """A hundred calls: what is true of them can be read off the numbers."""
    for number in range(100):
        yield UsageEvent(
            event_id=f"e{number}",
            occurred_at=START + timedelta(hours=number),
            provider="openai" if number % 4 else "anthropic",
            model="gpt-4o" if number % 4 else "claude-3-5-haiku-latest",
            team="search",
            project="atlas" if number < 60 else None,
            user="ada",
            routing_tier="cost-optimised" if number < 30 else "balanced" if number < 50 else None,
            shadow_of="e0" if number >= 98 else None,
            prompt_hash=f"p{number % 40}" if number < 60 else None,
            usage_source="reported",
            input_tokens=900,
            cache_read_tokens=100,
            output_tokens=10,
        )


@pytest.fixture(scope="module")
def landed(endpoint: str) -> Iterator[ClickHouse]:
    server = ClickHouse(endpoint)
    server.command("CREATE DATABASE mature")
    server.close()
    connection = ClickHouse(endpoint, database="mature")
    migrate(connection)
    land_events(connection, list(events()))
    for position, month in enumerate(("2026-11", "2026-12"), start=1):
        agreed = Adjustment(
            adjustment_id=f"true_up/agreement/volume/{month}/1",
            reason="true_up",
            source=SOURCE,
            partition=0,
            start=0,
            through=-1,
        )
        nothing = journal_rows(journal_row(minute=START, calls=0, cost=Decimal(0), user="ada"))
        Ledger(connection, JOURNAL).write(position, (), Counted((), agreed, nothing), START)
    asyncio.run(land_budgets(connection, START + timedelta(days=5), book=BOOK))
    outcome = {"outcome_id": "o1", "occurred_at": START.isoformat(), "of": "e1", "value": "1"}
    known = [checked_outcome(outcome | {"name": "quality"})]
    Outcomes(connection, SOURCE).write([Reported(known[0], 0, 0, 0)], {0: Read(0)})
    bloat = Alert(
        rule="context_bloat",
        scope={"team": "search"},
        period="2026-11-04",
        threshold="1",
        transition="opened",
        severity="warning",
        title="Context grows",
        detail="",
        action="",
        since=START,
        at=START,
        journal=JOURNAL,
        position=0,
    )
    AlertLog(connection).record_alerts([bloat])
    yield connection
    connection.close()


@pytest.fixture
def run(landed: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Run:
    """Run `spendstream report maturity` on 1 December 2026: exit code, stdout, stderr."""
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", "mature")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", landed.url)
    monkeypatch.setattr(report_maturity, "today_utc", lambda: date(2026, 12, 1))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["report", "maturity", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def evidence(found: dict[str, Any], layer: str) -> dict[str, tuple[Decimal | None, int]]:
    return {
        one["name"]: (None if one["value"] is None else Decimal(one["value"]), one["level"])
        for one in found["layers"][layer]["evidence"]
    }


def test_each_figure_and_level_is_what_is_true(run):
    code, out, _ = run(*DAYS, "--json")
    assert code == 0
    found = json.loads(out)
    seen = evidence(found, "visibility")
    assert seen["priced"] == (1, 3)
    assert seen["with_use_case"] == (0, 1)
    assert Decimal("0.55") < seen["with_project"][0] < Decimal("0.65")
    assert seen["with_project"][1] == 2
    assert seen["with_user"] == (1, 3)
    assert seen["budgets"] == (1, 2)
    assert seen["outcomes"] == (0, 2)
    seen = evidence(found, "routing")
    assert abs(seen["tiered"][0] - Decimal(50) / 98) < Decimal("1e-11")
    assert abs(seen["cheap"][0] - Decimal(30) / 98) < Decimal("1e-11")
    assert (seen["tiered"][1], seen["cheap"][1]) == (2, 2)
    assert (seen["shadowed"], seen["judged"]) == ((2, 2), (1, 2))
    seen = evidence(found, "prompts")
    assert seen["cached"] == (Decimal("0.1"), 2)
    assert abs(seen["hashed"][0] - Decimal(60) / 98) < Decimal("1e-11")
    assert abs(seen["repeated"][0] - Decimal(20) / 60) < Decimal("1e-11")
    assert (seen["hashed"][1], seen["repeated"][1], seen["bloat"]) == (2, 1, (1, 2))
    seen = evidence(found, "vendors")
    assert seen["vendors"] == (2, 3)
    assert (seen["own_prices"], seen["invoices"], seen["batch"]) == ((0, 1), (0, 1), (0, 2))
    assert seen["agreements"] == (1, 3)
    levels = {layer: one["level"] for layer, one in found["layers"].items()}
    assert levels == {"visibility": 1, "routing": 2, "prompts": 1, "vendors": 1}


def test_each_figure_is_what_its_sql_answers(run, landed):
    found = json.loads(run(*DAYS, "--json")[1])
    for layer in found["layers"].values():
        for one in layer["evidence"]:
            ((value,),) = landed.query(one["sql"])
            assert Decimal(value) == Decimal(one["value"]), one["name"]


def test_the_roadmap_has_what_is_left_and_no_saving_that_is_not_known(run):
    found = json.loads(run(*DAYS, "--json")[1])
    steps = {one["step"]: one for one in found["roadmap"]}
    assert not {"price", "vendors"} & steps.keys(), "they are done"
    assert steps["batch"]["saves_usd"] is None
    assert steps["route"]["saves_usd"] is None, "no shadow was scored on both sides"
    assert Decimal(steps["duplicates"]["saves_usd"]["high"]) >= 0
    assert steps["shadows"]["months"][0] < steps["route"]["months"][0]
    assert found["layers"]["vendors"]["next_step"]["layer"] == "vendors"


def test_the_text_marks_what_holds_a_layer_back_and_names_the_next_step(run):
    code, out, err = run(*DAYS)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "Visibility ■□□ begun" in lines
    assert "Routing ■■□ in use" in lines
    assert "Spend that names a use case 0.0 % 1 at least 50.0 %" in lines
    assert "Calls with a known cost 100.0 % 3" in lines
    assert "Calls that repeat a prompt 33.3 % 1 at most 15.0 %" in lines
    assert "The next twelve months" in lines
    assert sum(line.startswith("Next: ") for line in lines) == 4


def test_without_days_it_looks_at_the_thirty_newest_whole_ones(run):
    found = json.loads(run("--json")[1])
    assert (found["from"], found["to"]) == ("2026-11-01", "2026-11-30")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2026-12-01", "--to", "2026-11-01"], "is before --from 2026-12-01; exchange"),
        (["--from", "yesterday"], "--from: 'yesterday' is no day; write it as 2026-03-31"),
        (["--from", "2026-01-01", "--to", "2026-01-31"], "there are no calls from 2026-01-01 to"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_would_be_right(run, arguments, said):
    code, out, err = run(*arguments)
    assert code != 0
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1
