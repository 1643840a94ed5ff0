"""`spendstream budgets status` and `simulate` against a ledger in ClickHouse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.journal import Counted
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.cli.main import main
from streams.settings import load_settings
from streams.stack.run_file import write_run_file
from tests.support.ledger_rows import JOURNAL, NOON, covering, journal_row, journal_rows

pytestmark = pytest.mark.slow

BUDGETS = """\
timezone: Asia/Hong_Kong
budgets:
  - {name: users, each: user, limit: 10, burn_rate: off, forecast: off}
  - {name: teams, each: team, limit: 1000, burn_rate: off}
  - {name: window, limit: 8, period: {rolling: 1h}, thresholds: [100]}
"""
MARCH = datetime(2026, 2, 28, 16, tzinfo=UTC)
"""When March begins in Hong Kong."""
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> Run:
    """Run a command of `spendstream budgets`: exit code, stdout, stderr."""
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", clickhouse.url)
    monkeypatch.chdir(tmp_path)
    Path("budgets.yaml").write_text(BUDGETS)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["budgets", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def land(clickhouse: ClickHouse, *rows: dict[str, Any]) -> None:
    """One journal entry with these rows."""
    ledger = Ledger(clickhouse, JOURNAL)
    position = ledger.progress().position + 1
    ranges = (covering(position, position),)
    counted = Counted(ranges, None, journal_rows(*rows))
    ledger.write(position, ranges, counted, datetime.now(UTC))


def spend(minute: datetime, cost: str, user: str = "ann", **changes: Any) -> dict[str, Any]:
    return journal_row(minute=minute, cost=Decimal(cost), user=user, **changes)


def storm(start: datetime, minutes: int) -> list[dict[str, Any]]:
    fields = {"status": "rate_limited", "error_code": "429", "application": "bot", "calls": 30}
    return [spend(start + n * MINUTE, "0.1", "bot", **fields) for n in range(minutes)]


@pytest.fixture
def march(clickhouse: ClickHouse) -> None:
    """Some days of March 2026, and a minute of February, in several entries."""
    land(clickhouse, spend(MARCH - MINUTE, "9"), spend(MARCH, "3"))
    land(clickhouse, spend(MARCH + 2 * DAY, "2.5"), spend(MARCH + 2 * DAY, "1", "bob"))
    land(clickhouse, *storm(MARCH + 3 * DAY, 3), spend(MARCH + 3 * DAY, "1.6"))
    land(clickhouse, spend(MARCH + 4 * DAY + HOUR, "9", "bob"))
    # What came late, and what was corrected, counts when it happened.
    land(clickhouse, spend(MARCH + 2 * DAY, "-1.5", calls=-1), spend(MARCH + 2 * DAY, "1.5"))


def simulate(run: Run, first: str, last: str, *options: str) -> list[str]:
    code, said, _ = run("simulate", "budgets.yaml", "--from", first, "--to", last, *options)
    assert code == 0
    return said.splitlines()


@pytest.mark.usefixtures("march")
def test_a_simulation_tells_what_would_have_fired_when_and_what_it_comes_to(run: Run):
    lines = simulate(run, "2026-03-02", "2026-03-05")
    blank = lines.index("")
    assert lines[:blank] == [
        "2026-03-03 00:00  opened     info      User ann has used 55.0 % of its 2026-03 budget"
        "  $5.50 of $10",
        "2026-03-04 00:02  opened     warning   Retry storm: bot of team search repeats failing "
        "calls  $0.30",
        "2026-03-04 00:04  resolved   info      Retry storm over: bot of team search  $0.30",
        "2026-03-05 01:00  opened     info      User bob has used 100.0 % of its 2026-03 budget"
        "  $10.00 of $10",
        "2026-03-05 01:00  opened     warning   User bob has used 100.0 % of its 2026-03 budget"
        "  $10.00 of $10",
        "2026-03-05 01:00  opened     critical  User bob has used 100.0 % of its 2026-03 budget"
        "  $10.00 of $10",
        "2026-03-05 01:00  opened     critical  The organisation has used 112.5 % of its budget of "
        "the window  $9.00 of $8",
        "2026-03-05 02:00  resolved   info      The organisation is back under 100 % of its budget "
        "of the window  $0.00 of $8",
    ]
    rest = "\n".join(line.rstrip() for line in lines[blank:])
    assert "2026-03-02 to 2026-03-05 (Asia/Hong_Kong), 9 rows of usage: 6 alerts" in rest
    assert (
        "budget      │      5 │         0 │        1 │        0 │ 3: user bob, budget users" in rest
    )
    assert "users  │ 100.0 % │               2 │ 50 %: 2, 80 %: 1, 100 %: 1 │ 3: user bob" in rest
    assert "teams: 1.7 % at most, $17.40 of $1,000 by team search in 2026-03" in rest
    assert "provider outage, runaway, context bloat, anomaly, forecast: there was none" in rest
    assert "Repeated prompts of these days are not known" in rest


@pytest.mark.usefixtures("march")
def test_what_fired_before_the_first_day_is_not_told_again(run: Run):
    Path("detectors.yaml").write_text("anomaly: off\n")
    days = ("2026-03-04", "2026-03-04", "--detectors", "detectors.yaml")
    assert "Open already when these days began: 1 alert." in simulate(run, *days)
    document = json.loads(simulate(run, *days, "--json")[0])
    assert [(a["rule"], a["transition"]) for a in document["transitions"]] == [
        ("retry_storm", "opened"),
        ("retry_storm", "resolved"),
    ]
    assert document["open_before"] == 1
    assert document["budgets"]["users"]["highest"]["percent"] == "71.0"
    assert document["silent"]["budgets"] == ["users", "teams", "window"]
    assert "runaway" in document["silent"]["rules"]
    assert "anomaly" not in document["silent"]["rules"]


def test_prompts_that_were_repeated_are_found_in_the_past(clickhouse: ClickHouse, run: Run):
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - 2 * DAY
    fields = {"application": "bot", "calls": 30, "status": "ok"}
    land(clickhouse, *(spend(noon + n * MINUTE, "0.1", **fields) for n in range(4)))
    prompts = [
        {
            "minute": noon + n * MINUTE,
            "team": "search",
            "application": "bot",
            "provider": "own",
            "model": "unit",
            "prompt_hash": "same" if n == 2 else f"{n} {number}",
            "event_id": f"{n} {number}",
        }
        for n in range(4)
        for number in range(30)
    ]
    clickhouse.insert("prompts", pa.Table.from_pylist(prompts))
    day = f"{noon:%Y-%m-%d}"
    lines = simulate(run, day, day)
    assert [line[11:27] for line in lines if "Retry storm" in line] == [
        "20:02  opened   ",
        "20:04  resolved ",
    ]
    assert f"Repeated prompts are known from {day} on" in "\n".join(lines)


@pytest.mark.usefixtures("march")
def test_days_that_cannot_be_simulated_are_one_line(run: Run):
    for first, last, said in (
        ("2026-03-03", "2026-03-02", "--to 2026-03-02 is before --from 2026-03-03"),
        ("2026-03-03", "2199-03-02", "--to 2199-03-02 is in the future"),
        ("2026-03-03", "9999-12-31", "--to 9999-12-31 is in the future"),
        ("0001-01-01", "2026-03-02", "--from 0001-01-01 is before 2000"),
        ("march", "2026-03-02", "--from: 'march' is no day; write it as 2026-03-31"),
        (
            "2026-01-01",
            "2026-01-31",
            "the ledger has nothing from 2026-01-01 to 2026-01-31 (Asia/Hong_Kong); it has usage "
            "from 2026-02-28 to 2026-03-04 (UTC)",
        ),
    ):
        code, out, err = run("simulate", "budgets.yaml", "--from", first, "--to", last)
        assert (code, out) == (2, "")
        assert said in err
        assert len(err.splitlines()) == 1


def test_status_shows_what_is_used_and_where_it_is_heading(
    clickhouse: ClickHouse, run: Run, tmp_path: Path
):
    Path("year.yaml").write_text(
        "budgets:\n"
        "  - {name: users, each: user, limit: 100, period: year}\n"
        "  - {name: window, limit: 8, period: {rolling: 24h}}\n"
        "  - {name: calls, limit: 20, unit: calls, period: year}\n"
    )
    land(clickhouse, spend(NOON - 60 * DAY, "100", "[bold]ann"))
    land(clickhouse, *(spend(NOON - n * DAY, "0.5", f"user{n}") for n in range(3)))
    stack = tmp_path / "stack"
    stack.mkdir()
    write_run_file(stack, load_settings(budgets="year.yaml"), {})
    code, said, _ = run("status", "--folder", "stack", "--top", "3")
    assert code == 0
    head, _, *rows = said.splitlines()
    assert head == "As of 2026-03-10 12:00 UTC, the ledger's newest minute"
    full, calls, window = (re.split(r"  +", row.strip()) for row in rows[:3])
    assert full == [
        "users",
        "User [bold]ann",
        "2026, 296 days left",
        "$100.00 of $100",
        f"{'▓' * 10} 100.0 %",
        "–",
        "–",
        "full",
    ]
    # Two in the last 48 hours: the hour that a forecast rests on first does not count.
    assert calls[2:4] == ["2026, 296 days left", "4 calls of 20 calls"]
    assert calls[5:] == ["300 calls", "0.0417 calls", "16 days"]
    assert window == [
        "window",
        "The organisation",
        "any 24h",
        "$0.50 of $8",
        f"{'░' * 10} 6.2 %",
        *"–––",
    ]
    assert rows[3] == "… and 3 more, less full (--top 6 shows them)"
    _, said, _ = run("status", "--json", "--file", "year.yaml", "--budget", "calls")
    document = json.loads(said)
    (calls,) = document["budgets"]
    assert (document["at"], document["more"]) == ("2026-03-10T12:00:00+00:00", 0)
    assert (calls["used"], calls["unit"], calls["scope"]) == ("4", "calls", {})
    assert calls["breach"] > document["at"]


def test_status_without_a_file_a_ledger_or_such_a_budget_is_one_line(run: Run):
    for arguments, said in (
        ((), "which budgets? Name their file with --file, or in SPENDSTREAM_BUDGETS"),
        (("--file", "budgets.yaml"), "is empty: nothing was spent yet"),
        (("--file", "budgets.yaml", "--budget", "user"), "did you mean users?"),
    ):
        code, out, err = run("status", *arguments)
        assert (code, out) == (2, "")
        assert said in err
        assert len(err.splitlines()) == 1
