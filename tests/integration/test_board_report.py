"""`spendstream report board`: every figure of the PDF is what its SQL answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reports.board.gather import gather
from reports.board.model import Board
from reports.board.pdf import set_pdf
from reports.board.sections import name
from reports.board.setting import document
from reports.figures.figure import Table, exact_text
from reports.figures.period import Period
from reports.page.words import shown
from schemas.usage import UsageEvent
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from streams.cli import report_board
from streams.cli.main import main
from tests.support.landed_month import (
    BUDGETS,
    TEAMS,
    any_events,
    land_budgets,
    land_events,
    land_outcomes,
)
from tests.support.pdf_pages import page_pngs, page_texts

pytestmark = pytest.mark.slow

NOVEMBER = Period.month_of(date(2026, 11, 1))
OVER, MIDDLE = date(2026, 12, 1), date(2026, 11, 20)
EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="270"/>'
Run = Callable[..., tuple[int, str, str]]


def database(endpoint: str, label: str) -> ClickHouse:
    server = ClickHouse(endpoint)
    server.command(f"CREATE DATABASE {label}")
    server.close()
    connection = ClickHouse(endpoint, database=label)
    migrate(connection)
    return connection


@pytest.fixture(scope="module")
def landed(endpoint: str) -> Iterator[ClickHouse]:
    """October and November 2026."""
    connection = database(endpoint, "landed")
    land_events(connection, list(any_events()))
    land_outcomes(connection)
    asyncio.run(land_budgets(connection, datetime(2026, 11, 30, 23, 59, tzinfo=UTC)))
    yield connection
    connection.close()


@pytest.fixture
def run(landed: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Run:
    """Run `spendstream report board` on 1 December 2026: exit code, stdout, stderr."""
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", "landed")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", landed.url)
    monkeypatch.setattr(report_board, "today_utc", lambda: OVER)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["report", "board", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def pages(board: Board) -> list[str]:
    """Its texts. Where charts would be there is nothing, of their size: to draw takes seconds."""
    return page_texts(set_pdf(document(board), [EMPTY, EMPTY], board.as_of.minute))


def flat(text: str) -> str:
    """Without blanks: where lines break is not what is tested."""
    return "".join(text.split())


def cells(table: Table) -> Iterator[str]:
    """What a page shows of a table's rows."""
    hidden = {"whole", "unit", "heading_over", "month", "value", "tokens", "not_in_cost", "at"}
    for row in table.records():
        for column in table.columns:
            if column.name in hidden or row[column.name] is None:
                continue
            if column.kind == "text":
                yield name(row[column.name].replace("_", " "))
            else:
                unit = row.get("unit") if column.kind == "amount" else column.unit
                yield shown(column.kind, row[column.name], unit)


@pytest.mark.parametrize(("today", "currency"), [(OVER, "USD"), (OVER, "HKD"), (MIDDLE, "USD")])
def test_every_figure_of_the_pdf_is_what_its_sql_answers(landed, today, currency):
    board = gather(landed, NOVEMBER, today, currency)
    text = flat(" ".join(pages(board)))
    for figure in board.figures.values():
        if not figure.name.startswith("budget_"):  # cells of the table of budgets, looked at below
            ((value,),) = landed.query(figure.sql)
            assert value == figure.value, figure.name
        assert flat(shown(figure.kind, figure.value, figure.unit)) in text, figure.name
        assert flat(figure.definition) in text, figure.name
    for table in board.tables():
        assert landed.query(table.sql) == list(table.rows), table.name
        assert flat(table.definition) in text, table.name
        if table.name not in {"tiers", "budgets"} or board.is_over:
            missing = [cell for cell in cells(table) if flat(cell) not in text]
            assert table.name == "tiers" or missing == [], table.name


def test_figures_equal_the_views_that_finance_asks(landed):
    board = gather(landed, NOVEMBER, OVER)
    figures = {title: one.value for title, one in board.figures.items()}
    month = "month = toDate('2026-11-01')"
    ((spend, users, per_user),) = landed.query(
        f"SELECT cost, users, usd_per_user FROM active_users WHERE {month} AND grain = 'all'"
    )
    assert (figures["spend"], figures["users"], figures["per_user"]) == (spend, users, per_user)
    assert (
        figures["previous"]
        == landed.query(
            "SELECT cost FROM active_users WHERE month = toDate('2026-10-01') AND grain = 'all'"
        )[0][0]
    )
    ((cheap, calls),) = landed.query(
        "SELECT sumIf(calls, routing_tier = 'cost-optimised'), sum(calls) FROM tier_shares "
        f"WHERE {month}"
    )
    assert abs(figures["cheap_calls"] - Decimal(cheap) / Decimal(calls)) < Decimal("1e-11")
    assert board.tiers.rows[-1][1] == figures["cheap_calls"]
    assert board.tiers.rows[-1][2] == figures["cheap_spend"]
    ((wasted,),) = landed.query(
        "SELECT sum(cost) FROM wasted_spend WHERE day BETWEEN '2026-11-01' AND '2026-11-30'"
    )
    assert figures["wasted"] == wasted
    ((missing,),) = landed.query(
        "SELECT sum(unpriced_calls + calls_without_usage) FROM data_quality "
        "WHERE day BETWEEN '2026-11-01' AND '2026-11-30'"
    )
    assert figures["not_in_cost"] == missing
    ((used,),) = landed.query(
        "SELECT used FROM budgets_against_actuals WHERE budget = 'organisation' "
        "AND period = '2026-11'"
    )
    assert figures["budget_used"] == used == spend


def test_the_same_ledger_makes_the_same_file(landed):
    board = gather(landed, NOVEMBER, OVER)
    files = [set_pdf(document(board), [EMPTY, EMPTY], board.as_of.minute) for _ in range(2)]
    assert files[0] == files[1]


def test_another_currency_is_by_the_rate_of_each_day(landed):
    board = gather(landed, NOVEMBER, OVER, "HKD")
    ((expected,),) = landed.query(
        "SELECT sum(cost * if(day < '2026-11-10', toDecimal64('7.8', 4), toDecimal64('7.7935', 4)))"
        " FROM spend_by_day WHERE day BETWEEN '2026-11-01' AND '2026-11-30'"
    )
    assert board.figures["spend"].value == expected
    assert board.figures["spend"].unit == "HKD"


def test_a_month_that_is_not_over_has_a_forecast_and_is_compared_with_the_same_days(landed):
    board = gather(landed, NOVEMBER, MIDDLE)
    assert board.lens.period == Period(date(2026, 11, 1), MIDDLE)
    assert board.figures["forecast"].value > board.figures["spend"].value
    first, _ = pages(board)
    assert "In 1 to 20 November 2026" not in first
    assert "From 1 to 20 November 2026" in first
    assert "the same days of October" in first
    assert "Heading over it" in first


def test_long_names_and_full_tables_fit_on_two_pages(endpoint):
    connection = database(endpoint, "full")
    try:
        long = "a name that somebody has made so long that it says all and fits nowhere "
        events = [
            UsageEvent.model_validate(
                event.model_dump(exclude_none=True)
                | {
                    "team": f"{long}{number % 9}",
                    "department": f"{number % 8} {long}",
                    "use_case": f"{number % 7} {long}",
                }
            )
            for number, event in enumerate(any_events(300))
        ]
        land_events(connection, events)
        land_outcomes(connection)
        budgets = [{"name": f"{number} {long}", "limit": "123456789"} for number in range(9)]
        book = BUDGETS | {"budgets": budgets}
        asyncio.run(land_budgets(connection, datetime(2026, 11, 30, tzinfo=UTC), book=book))
        # While it is not over there is more: a forecast, and two columns of budgets.
        assert len(pages(gather(connection, NOVEMBER, MIDDLE))) == 2
    finally:
        connection.close()


def test_an_organisation_that_knows_little_is_told_so(endpoint):
    connection = database(endpoint, "little")
    try:
        event = UsageEvent(
            event_id="e1",
            occurred_at=datetime(2026, 11, 2, tzinfo=UTC),
            provider="nobody",
            model="nothing",
            team="search",
            usage_source="missing",
        )
        land_events(connection, [event])
        board = gather(connection, NOVEMBER, OVER)
        first, second = pages(board)
        assert board.figures["spend"].value is None
        assert "calls of AI models cost –" in first
        assert "nothing was spent in October" in first
        assert "There is no budget of money for the whole organisation" in first
        assert "No call says which tier" in first
        assert "No business outcome was reported" in first
        assert "No closed month has changed" in second
        assert "1 of 1 calls have no prompt_hash" in second
    finally:
        connection.close()


def test_the_command_writes_the_pdf_of_a_month(run):
    assert run("--month", "2026-11") == (
        0,
        "board-2026-11.pdf: November 2026, as of 2026-11-30 22:46 UTC\n",
        "",
    )
    pdf = Path("board-2026-11.pdf").read_bytes()
    first, second = page_texts(pdf)
    assert "What AI cost in November 2026" in first
    assert "entry 0 of journal cluster/llm.spend 2 / 2" in second
    assert all(picture.startswith(b"\x89PNG") for picture in page_pngs(pdf, scale=0.3))


def test_json_has_every_figure_exact_with_its_definition_and_sql(run, landed):
    code, out, _ = run("--month", "2026-11", "--json", "--currency", "HKD")
    found = json.loads(out)
    board = gather(landed, NOVEMBER, OVER, "HKD")
    assert code == 0
    assert found["currency"] == "HKD"
    assert (found["position"], found["through"]) == (0, "2026-11-30")
    assert found["figures"].keys() == board.figures.keys()
    assert "forecast" not in board.figures
    assert found["figures"]["spend"]["value"] == exact_text(board.figures["spend"].value)
    assert {one["name"] for one in found["tables"]["outcomes"]["rows"]} == {
        "insight delivered",
        "resolved ticket",
    }
    teams = [row["team"] for row in found["tables"]["by_team"]["rows"]]
    assert sorted(teams) == sorted(TEAMS)
    assert not Path("board-2026-11.pdf").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--month", "2026-9-1"], "--month: '2026-9-1' is no month; write it as 2026-03"),
        (["--month", "2027-01"], "--month: 2027-01 has not begun yet; today is 2026-12-01 (UTC)"),
        (
            ["--month", "2026-09"],
            "--month: there are no calls in 2026-09 (UTC); the ledger's newest",
        ),
        (
            ["--month", "2026-11", "--currency", "hkd"],
            "'hkd' is no ISO 4217 code; did you mean HKD?",
        ),
        (["--month", "2026-11", "--currency", "EUR"], "no rate of EUR is known for 2026-10-01"),
        (["--month", "2026-11", "--out", "no/board.pdf"], "--out: there is no folder no; make it"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_would_be_right(run, arguments, said):
    code, out, err = run(*arguments)
    assert code != 0
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_the_time_of_the_newest_call_is_what_the_report_is_as_of(landed):
    board = gather(landed, NOVEMBER, OVER)
    ((newest,),) = landed.query("SELECT max(minute) FROM spend")
    assert board.as_of.minute == newest.replace(tzinfo=UTC)
    assert board.as_of.minute > datetime(2026, 11, 30, tzinfo=UTC) - timedelta(days=1)
