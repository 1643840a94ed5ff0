"""`close` and `report statement`: a closed month stays, and what changes later is charged once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from schemas.errors import UserError
from schemas.journal import Adjustment, Counted
from sinks.clickhouse import ClickHouse
from sinks.closings import AlreadyClosed, closings
from sinks.ledger import Ledger
from streams.chargeback.closing import draft, record
from streams.cli.main import main
from tests.support.ledger_rows import JOURNAL, SOURCE, covering, journal_row, journal_rows
from tests.support.pdf_pages import page_texts

pytestmark = pytest.mark.slow

FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in (2, 3, 4))
RULES = """
currency: HKD
exchange_rates: {HKD: {2026-01-01: 7.8}}
markup: {percent: 10, departments: {Research: 0}}
shared:
  - {name: Platform, teams: [platform], by: spend}
"""

Command = Callable[..., tuple[int, str, str]]


def row(month: int, department: str | None, cost: str | None, **changes: Any) -> dict[str, Any]:
    money = None if cost is None else Decimal(cost)
    rating = "unpriced" if cost is None else "priced"
    minute = datetime(2026, month, 10, 12, tzinfo=UTC)
    fields = {"minute": minute, "department": department, "cost": money, "rating": rating}
    return journal_row(**(fields | changes))


@pytest.fixture
def ledger(clickhouse: ClickHouse) -> Ledger:
    """A month of three departments, and a team whose spend is nobody's."""
    ledger = Ledger(clickhouse, JOURNAL)
    usage(
        ledger,
        row(3, "Sales", "30", team="shop", input_tokens=5),
        row(3, "Sales", "0.000000000001", team="shop", project="=SUM(A1)"),
        row(3, "Research", "60", team="lab", model="large"),
        row(3, "Research", None, team="lab", model="new"),
        row(3, None, "9", team="platform"),
    )
    return ledger


def usage(ledger: Ledger, *rows: dict[str, Any]) -> None:
    position = ledger.progress().position + 1
    ranges = (covering(position, position),)
    ledger.write(position, ranges, Counted(ranges, None, journal_rows(*rows)), at(4, 2))


def corrected(ledger: Ledger, reason: str, *rows: dict[str, Any]) -> None:
    position = ledger.progress().position + 1
    adjustment = Adjustment(
        adjustment_id=f"{reason}/{position}",
        reason=reason,
        source=SOURCE,
        partition=0,
        start=0,
        through=0,
    )
    ledger.write(position, (), Counted((), adjustment, journal_rows(*rows)), at(4, 9))


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def close(clickhouse: ClickHouse, month: date, now: datetime, why: str = "") -> None:
    record(clickhouse, draft(clickhouse, month, "ada", why, now))


@pytest.fixture
def command(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> Command:
    """Run a command: exit code, stdout, stderr."""
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", clickhouse.url)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def statements(command: Command, month: str, *options: str) -> dict[str | None, dict[str, Any]]:
    code, out, err = command("report", "statement", "--month", month, "--json", *options)
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    return {one["department"]: one for one in found}


def test_a_closed_month_stays_and_changes_are_on_the_next_statement_once(
    clickhouse, ledger, command
):
    close(clickhouse, MARCH, at(4, 2), "books closed")
    before = statements(command, "2026-03")
    corrected(ledger, "repricing", row(3, "Sales", "-12", team="shop", calls=0))
    usage(ledger, row(3, "Support", "2", team="desk"), row(4, "Sales", "1", team="shop"))
    assert statements(command, "2026-03") == before
    assert before["Sales"]["total_usd"] == "30.000000000001"
    assert before["Sales"]["closing"] == 1
    april = statements(command, "2026-04")
    assert (april["Sales"]["usage_usd"], april["Sales"]["restated_usd"]) == ("1", "-12")
    assert (april["Support"]["usage_usd"], april["Support"]["restated_usd"]) == ("0", "2")
    close(clickhouse, APRIL, at(5, 2))
    may = statements(command, "2026-04")
    assert may["Sales"]["restated_usd"] == "-12"
    usage(ledger, row(5, "Sales", "4", team="shop"))
    assert statements(command, "2026-05")["Sales"]["restated_usd"] == "0"
    assert clickhouse.query(
        "SELECT department, reason, restated_calls, restated_cost FROM closing_restatements "
        "WHERE month = '2026-03-01' ORDER BY department"
    ) == [("Sales", "repricing", 0, Decimal(-12)), ("Support", "late event", 1, Decimal(2))]


def test_a_month_is_closed_again_under_the_next_number_and_the_first_closing_stays(
    clickhouse, ledger, command
):
    close(clickhouse, MARCH, at(4, 2))
    usage(ledger, row(3, "Sales", "5", team="shop"))
    close(clickhouse, MARCH, at(4, 3), "late invoices")
    newest, first = statements(command, "2026-03"), statements(command, "2026-03", "--closing", "1")
    assert newest["Sales"]["usage_usd"] == "35.000000000001"
    assert first["Sales"]["usage_usd"] == "30.000000000001"
    found = closings(clickhouse)
    assert [(one.number, one.why, one.calls, one.cost) for one in found] == [
        (1, "", 5, Decimal("99.000000000001")),
        (2, "late invoices", 6, Decimal("104.000000000001")),
    ]
    code, out, _ = command("close", "list", "--json")
    assert code == 0
    listed = [json.loads(line) for line in out.splitlines()]
    assert [(one["closing"], one["cost_usd"]) for one in listed] == [
        (1, "99.000000000001"),
        (2, "104.000000000001"),
    ]


def test_of_two_who_close_at_the_same_time_one_does(clickhouse, ledger):
    first = draft(clickhouse, MARCH, "ada", "", at(4, 2))
    second = draft(clickhouse, MARCH, "bob", "", at(4, 2))
    record(clickhouse, first)
    record(clickhouse, first)
    with pytest.raises(AlreadyClosed, match="somebody else has closed it at this moment"):
        record(clickhouse, second)
    assert [one.by for one in closings(clickhouse)] == ["ada"]


@pytest.mark.parametrize(
    ("month", "now", "said"),
    [
        (MARCH, at(3, 31), r"--month: 2026-03 goes on until 2026-04-01 00:00 UTC"),
        (FEBRUARY, at(4, 2), r"--month: the ledger has nothing of 2026-02 \(UTC\) to close"),
    ],
)
def test_a_month_that_goes_on_or_has_nothing_is_not_closed(clickhouse, ledger, month, now, said):
    with pytest.raises(UserError, match=said):
        draft(clickhouse, month, "ada", "", now)


def test_a_month_is_not_closed_again_once_another_was(clickhouse, ledger):
    usage(ledger, row(4, "Sales", "1", team="shop"))
    close(clickhouse, MARCH, at(4, 2))
    close(clickhouse, APRIL, at(5, 2))
    usage(ledger, row(3, "Sales", "1", team="shop"))
    with pytest.raises(UserError, match=r"closing 1 of 2026-04 was made since 2026-03 was closed"):
        draft(clickhouse, MARCH, "ada", "", at(5, 3))


def test_the_command_asks_and_says_what_stands(clickhouse, ledger, command):
    code, out, _ = command("close", "--month", "2026-03")
    assert code == 0
    assert "not closed: --yes closes it" in out
    assert closings(clickhouse) == []
    code, out, _ = command("close", "--month", "2026-03", "--yes", "--by", "ada", "--why", "books")
    assert out.endswith("closed: closing 1 of 2026-03\n")
    code, out, _ = command("close", "--month", "2026-03", "--yes")
    assert (code, out) == (0, "closing 1 of 2026-03 stands: nothing has changed since\n")
    assert command("close", "diff")[1] == "nothing has changed since\n"
    corrected(ledger, "true_up", row(3, "Sales", "-0.5", team="shop", calls=0))
    code, out, _ = command("close", "diff", "--month", "2026-03", "--json")
    (changed,) = map(json.loads, out.splitlines())
    assert changed["restated_usd"] == "-0.500000000000"
    assert (changed["reason"], changed["restated_calls"]) == ("true_up", 0)
    assert command("close", "diff", "--month", "2026-02")[2].startswith(
        "spendstream: --month: 2026-02 is not closed"
    )
    assert command("close")[2].startswith("spendstream: --month: name the month to close")


def test_the_files_hold_what_is_charged(clickhouse, ledger, command, tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    close(clickhouse, MARCH, at(4, 2), "books closed")
    options = ("--month", "2026-03", "--rules", "rules.yaml")
    code, out, _ = command("report", "statement", *options, "--out", "out")
    assert code == 0
    assert "calls without a known price, which are not charged: 1" in out
    found = statements(command, "2026-03", "--rules", "rules.yaml")
    # 9 of the platform: by 30 and 60 of spend, so 3 and 6, but for the last digit
    assert found["Sales"]["shared_usd"] == "3"
    assert found["Sales"]["total_usd"] == "36.000000000001"
    assert found["Sales"]["amount"] == "280.80"
    assert found["Research"]["total_usd"] == "66"
    assert (found[None]["total_usd"], found[None]["amount"]) == ("0", "0.00")
    lines = list(
        csv.DictReader(io.StringIO((tmp_path / "out/statement-2026-03-sales.csv").read_text()))
    )
    assert sum(Decimal(line["total_usd"]) for line in lines) == Decimal("36.000000000001")
    assert sum(Decimal(line["amount"]) for line in lines) == Decimal("280.80")
    summary = list(
        csv.DictReader(io.StringIO((tmp_path / "out/statements-2026-03.csv").read_text()))
    )
    assert sum(Decimal(line["total_usd"]) for line in summary) == Decimal("102.000000000001")
    assert [line["closing"] for line in summary] == ["1", "1", "1"]
    book = openpyxl.load_workbook(tmp_path / "out/statement-2026-03-sales.xlsx")
    head, *cells = book["Lines"].iter_rows(values_only=True)
    by_name = [dict(zip(head, line, strict=True)) for line in cells]
    assert [line["total_usd_exact"] for line in by_name] == [line["total_usd"] for line in lines]
    assert by_name[0]["project"] == "=SUM(A1)"
    assert book["Lines"].cell(2, 1 + head.index("project")).data_type == "s"
    assert all(isinstance(line["amount"], int | float) for line in by_name)
    research = " ".join(page_texts((tmp_path / "out/statement-2026-03-research.pdf").read_bytes()))
    assert "Research" in research
    assert "HKD 514.80" in research
    assert "1 call has no known price and is not charged" in research
    assert "As of closing 1 of 2026-04-02 00:00 UTC by ada (books closed)." in research


def test_a_closed_months_files_are_the_same_bytes_again(clickhouse, ledger, command, tmp_path):
    close(clickhouse, MARCH, at(4, 2))
    for folder in ("once", "again"):
        command("report", "statement", "--month", "2026-03", "--out", folder)
        usage(ledger, row(3, "Sales", "5", team="shop"))
    names = sorted(path.name for path in (tmp_path / "once").iterdir())
    assert len(names) == 10
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_mistakes_are_one_line(clickhouse, ledger, command, tmp_path):
    options = ("report", "statement", "--month", "2026-03")
    for more, said in (
        (("--department", "sales"), "there is no statement for 'sales'; did you mean Sales?"),
        (("--format", "csv,docx"), "--format: 'docx' is none; write some of csv,xlsx,pdf"),
        (("--closing", "1"), "--closing: 2026-03 has no closing 1; it has none yet"),
        (("--rules", "no.yaml"), "no.yaml: No such file or directory"),
    ):
        code, _, err = command(*options, *more)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1
    code, _, err = command("report", "statement", "--month", "2026-01")
    assert (code, err) == (2, "spendstream: --month: the ledger has nothing of 2026-01 (UTC)\n")
