"""The page over a simulated month of which the truth is known, call by call."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from click.testing import CliRunner, Result

from reports.page import render
from reports.routing.figures import Span, read_pairs
from reports.viewer import EVERYBODY, Viewer
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from streams.cli.report import report
from tests.support.page_html import PageReader, differences
from tests.support.simulated_month import KnownCall, MonthTruth, cost_of, fill_month

pytestmark = pytest.mark.slow

MONTH = date(2026, 11, 1)
QUERY = {"from": "2026-11-01", "to": "2026-11-30"}


@pytest.fixture(scope="module")
def month(endpoint: str) -> Iterator[tuple[ClickHouse, MonthTruth]]:
    """A database with the month in it, and what is true of it."""
    server = ClickHouse(endpoint)
    server.command("CREATE DATABASE month")
    clickhouse = ClickHouse(endpoint, database="month")
    migrate(clickhouse)
    truth = fill_month(clickhouse, MONTH, thinned=500)
    yield clickhouse, truth
    clickhouse.close()
    server.command("DROP DATABASE month")
    server.close()


def page(clickhouse: ClickHouse, path: str, viewer: Viewer = EVERYBODY, **query: str) -> PageReader:
    rendered = render(clickhouse, path, QUERY | query, viewer, today=date(2026, 12, 1))
    assert rendered.status == 200, rendered.html
    return PageReader(rendered.html)


def by_name(rows: list[list[str]], column: int) -> dict[str | None, Decimal]:
    return {row[0] or None: Decimal(row[column]) for row in rows if row[column]}


def test_spend_calls_and_users_are_the_months(month):
    clickhouse, truth = month
    shown = page(clickhouse, "/")
    assert Decimal(shown.value("spend")) == truth.cost > 0
    assert int(shown.value("calls")) == len(truth.calls)
    assert int(shown.value("users")) == len({one["user"] for one in truth.calls} - {None})
    unknown = truth.where(lambda call: call.cost is None)
    assert int(shown.value("not_in_cost")) == len(unknown)


@pytest.mark.parametrize("dimension", ["department", "model", "application"])
def test_attribution_is_the_months(month, dimension):
    clickhouse, truth = month
    shown = page(clickhouse, "/attribution").table(f"by_{dimension}")
    expected = truth.cost_by(dimension)
    assert by_name(shown, 1).items() <= expected.items()
    assert len(shown) == min(len(truth.calls_by(dimension)), 50 if dimension[0] == "d" else 10)


def test_every_team_of_every_department_is_the_months(month):
    clickhouse, truth = month
    expected = truth.cost_by("department", "team")
    for department in {one["department"] for one in truth.calls}:
        shown = page(clickhouse, "/attribution", department=department or "(none)")
        found = by_name(shown.table("by_team"), 1)
        assert found == {
            team: usd for (whose, team), usd in expected.items() if whose == department
        }


def test_shares_of_tiers_are_the_months_without_shadows(month):
    clickhouse, truth = month
    shown = page(clickhouse, "/routing")
    calls = truth.calls_by("routing_tier", shadows=False)
    assert by_name(shown.table("by_tier"), 1) == calls
    share = Decimal(calls["cost-optimised"]) / len(truth.work)
    assert abs(Decimal(shown.value("cheapest_share_of_calls")) - share) < Decimal("1e-12")


def test_pairs_of_calls_and_shadows_are_those_of_the_routing_report(month):
    clickhouse, truth = month
    rows = page(clickhouse, "/routing").table("shadow_pairs")
    expected = {
        (one.use_case, one.call_tier, one.shadow_tier): (
            one.pairs,
            one.compared,
            one.call_cost,
            one.shadow_cost,
            one.difference,
        )
        for one in read_pairs(clickhouse, Span(MONTH, truth.last))
    }
    assert expected
    assert expected == {
        (row[0] or None, row[1] or None, row[2] or None): (
            *map(int, row[3:5]),
            *(Decimal(cell or 0) for cell in row[5:]),
        )
        for row in rows
    }


def test_waste_is_the_months(month):
    clickhouse, truth = month
    shown = page(clickhouse, "/waste")
    wasted = truth.where(lambda call: call.is_failed or call.is_retry)
    assert Decimal(shown.value("wasted")) == cost_of(wasted) > 0
    assert int(shown.value("wasted_calls")) == len(wasted)
    assert int(shown.value("retries")) == len(truth.where(lambda call: call.is_retry))


def test_cached_prompts_are_the_months(month):
    clickhouse, truth = month
    shown = page(clickhouse, "/prompts")
    assert int(shown.value("prompt_tokens")) == sum(call.prompt_tokens for call in truth.calls)
    hits = truth.where(lambda call: bool(call["served_from_cache"]))
    assert int(shown.value("cache_hits")) == len(hits)


def test_outcomes_are_the_months(month):
    clickhouse, truth = month
    shown = page(clickhouse, "/units").table("by_outcome")
    known = {call["workflow"]: call["team"] for call in truth.work if call["workflow"]}

    def team(outcome: dict[str, str]) -> str | None:
        return outcome.get("team") or known.get(outcome.get("workflow") or "")

    expected = Counter((team(dict(one)), one["name"]) for one in truth.outcomes)
    found: Counter[tuple[str | None, str]] = Counter()
    for row in shown:
        found[row[1] or None, row[3]] += int(row[4])
    assert found == expected


def test_a_department_sees_its_part_of_the_month(month):
    clickhouse, truth = month
    (name, *_) = sorted(filter(None, truth.cost_by("department")))
    viewer = Viewer.of("lead", departments=[name])

    def theirs(call: KnownCall) -> bool:
        return bool(call["department"] == name)

    shown = page(clickhouse, "/", viewer)
    assert Decimal(shown.value("spend")) == cost_of(truth.where(theirs))
    assert differences(shown, clickhouse) == []


def report_spend(clickhouse: ClickHouse, *arguments: str) -> Result:
    command = ["spend", "--from", QUERY["from"], "--to", QUERY["to"], *arguments]
    environment = {"SPENDSTREAM_CLICKHOUSE_DATABASE": "month"}
    return CliRunner().invoke(
        report, [*command, "--clickhouse", clickhouse.url], env=environment, catch_exceptions=False
    )


def test_the_terminal_has_the_figures_of_the_overview(month):
    clickhouse, truth = month
    found = json.loads(report_spend(clickhouse, "--by", "department", "--json").output)
    assert Decimal(found["figures"]["spend"]) == truth.cost
    assert sum(Decimal(row["spend"]) for row in found["by_department"]) == truth.cost
    assert sum(Decimal(row["spend"]) for row in found["spend_by_day"]) == truth.cost


def test_the_terminal_draws_the_days_and_the_parts(month):
    clickhouse, _ = month
    lines = report_spend(clickhouse, "--by", "department").output.splitlines()
    (days,) = [line for line in lines if line.startswith("2026-11-01 ")]
    assert "█" in days
    departments = lines[lines.index("By department") + 1 :]
    assert {line.split()[0] for line in departments} >= {"engineering", "finance", "product"}
    longest = [line.count("█") for line in departments]
    assert longest[0] == max(longest) > 0


def test_a_team_without_calls_is_said(month):
    clickhouse, _ = month
    with pytest.raises(UserError, match="there are no calls of this team"):
        report_spend(clickhouse, "--team", "serch")
