"""Every figure of the page is what its query gives, whoever looks, at whatever, in any currency."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from multidict import MultiDict

from reports.page import PATHS, render
from reports.page.savings import range_text
from reports.savings import Span, savings
from reports.viewer import EVERYBODY, Viewer
from schemas.alerts import Alert
from sinks.alert_log import AlertLog
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from tests.support.landed_month import any_events, land_budgets, land_events, land_outcomes
from tests.support.page_html import PageReader, differences

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
TODAY = date(2026, 11, 28)
FIGURES = [path for path in PATHS if path != "/savings"]
"""What it has are estimates, each of several queries."""
NOVEMBER = {"from": "2026-11-01", "to": "2026-11-30"}
SERVICE = Viewer.of("lead of service", departments=["service"])
SEARCH = Viewer.of("lead of search", teams=["search"])


@pytest.fixture(scope="module")
def landed(endpoint: str) -> Iterator[ClickHouse]:
    """A database with two months of calls, outcomes, budgets and alerts; only to be read."""
    server = ClickHouse(endpoint)
    server.command("CREATE DATABASE page")
    clickhouse = ClickHouse(endpoint, database="page")
    migrate(clickhouse)
    land_events(clickhouse, list(any_events()))
    land_outcomes(clickhouse)
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    asyncio.run(land_budgets(clickhouse, now))
    severities = (("search", "warning"), ("claims", "critical"))
    AlertLog(clickhouse).record_alerts([_alert(*one, now) for one in severities])
    yield clickhouse
    clickhouse.close()
    server.command("DROP DATABASE page")
    server.close()


def _alert(team: str, severity: str, now: datetime) -> Alert:
    return Alert.model_validate(
        {
            "rule": "retry_storm",
            "scope": {"team": team, "application": f"{team} <app>"},
            "period": "2026-11-28T11:00",
            "threshold": "20",
            "transition": "opened",
            "severity": severity,
            "title": f"{team} retries",
            "detail": f"20 calls of {team} failed.",
            "action": "Look at it.",
            "value": "1.5",
            "since": now - timedelta(hours=1),
            "at": now,
            "journal": "j",
            "position": 1,
        }
    )


_MADE: dict[tuple[object, ...], PageReader] = {}
"""What was rendered is only read, so each is rendered once."""


def page(clickhouse: ClickHouse, path: str, viewer: Viewer = EVERYBODY, **query: str) -> PageReader:
    made = (path, viewer, tuple(query.items()))
    if made not in _MADE:
        rendered = render(clickhouse, path, NOVEMBER | query, viewer, today=TODAY)
        assert rendered.status == 200, rendered.html
        _MADE[made] = PageReader(rendered.html)
    return _MADE[made]


@pytest.mark.parametrize(
    ("viewer", "query"),
    [
        (EVERYBODY, {}),
        (EVERYBODY, {"team": "search", "project": "(none)", "currency": "HKD"}),
        (SERVICE, {"currency": "HKD"}),
    ],
    ids=["everybody", "a scope in HKD", "a department's lead in HKD"],
)
@pytest.mark.parametrize("path", FIGURES)
def test_every_figure_equals_its_query(landed, path, viewer, query):
    shown = page(landed, path, viewer, **query)
    assert shown.figures
    assert shown.tables or path == "/alerts"  # a scope may have none
    assert differences(shown, landed) == []


def test_the_spend_is_the_ledgers(landed):
    shown = page(landed, "/")
    ((usd, calls),) = landed.query(
        "SELECT sum(cost), sum(calls) FROM spend WHERE toStartOfMonth(minute) = '2026-11-01'"
    )
    assert Decimal(shown.value("spend")) == usd > 0
    assert int(shown.value("calls")) == calls
    ((october,),) = landed.query(
        "SELECT sum(cost) FROM spend WHERE toStartOfMonth(minute) = '2026-10-01'"
    )
    assert Decimal(shown.value("previous")) == october
    assert (
        shown.value("change")
        == str(((usd - october) / october).quantize(Decimal("1e-12")))[: len(shown.value("change"))]
    )


def test_another_currency_is_converted_day_by_day_to_the_last_digit(landed):
    days = landed.query(
        "SELECT toDate(minute) AS day, sum(cost) FROM spend "
        "WHERE toStartOfMonth(minute) = '2026-11-01' GROUP BY day"
    )
    change = date(2026, 11, 10)
    expected = sum(
        (usd * (Decimal("7.8") if day < change else Decimal("7.7935")) for day, usd in days),
        Decimal(0),
    )
    shown = page(landed, "/", currency="HKD")
    assert Decimal(shown.value("spend")) == expected
    assert "In HKD, each day at its rate: 7.7935 to 7.8 for a US dollar." in shown.text


def test_a_drill_down_goes_from_department_to_user_and_adds_up(landed):
    query: dict[str, str] = {}
    for level in ("department", "team", "project", "use_case", "user"):
        shown = page(landed, "/attribution", **query)
        rows = shown.table(f"by_{level}")
        assert sum(Decimal(row[1] or 0) for row in rows) == Decimal(shown.value("spend"))
        name = next(row[0] for row in rows if row[0])
        wanted = f"{level}={name}"
        (link,) = {link for link in shown.links if link.endswith(f"&{wanted}")}
        assert link.startswith("/attribution?from=2026-11-01&to=2026-11-30&")
        query[level] = name
    assert page(landed, "/attribution", **query).table("by_model")


def test_savings_are_those_of_the_report_for_who_looks(landed):
    html = render(landed, "/savings", NOVEMBER | {"model": "gpt-4o"}, SERVICE, today=TODAY).html
    found = savings(landed, Span(date(2026, 11, 1), date(2026, 11, 30), None, SERVICE))
    assert found.total is not None
    assert f"All of it together: {range_text(found.total)} of " in html
    for one in found.kinds:
        shown = html[html.index(f'data-estimate="{one.kind}"') :]
        assert f">{range_text(one.alone)}</dd>" in shown[: shown.index("</dl>")]
    assert "Savings are narrowed to one team at most: not by model." in html


@pytest.mark.parametrize("path", PATHS)
def test_a_viewer_sees_no_name_and_no_money_of_others(landed, path):
    text = page(landed, path, SERVICE, currency="HKD").text
    for other in ("search", "assistant", "product"):
        assert not re.search(rf"\b{other}\b", text), other


def test_a_viewers_spend_is_that_of_their_department(landed):
    ((usd,),) = landed.query(
        "SELECT sum(cost) FROM spend WHERE toStartOfMonth(minute) = '2026-11-01' "
        "AND department = 'service'"
    )
    assert Decimal(page(landed, "/", SERVICE).value("spend")) == usd


@pytest.mark.parametrize(
    ("viewer", "asked"),
    [
        (SERVICE, {"department": "product"}),
        (SERVICE, {"team": "search"}),
        (SERVICE, {"department": "no-such-department"}),
        (SEARCH, {"team": "assistant"}),
        (SEARCH, {"department": "service"}),
    ],
)
def test_who_asks_for_what_is_not_theirs_is_refused_without_a_hint(landed, viewer, asked):
    rendered = render(landed, "/", NOVEMBER | asked, viewer, today=TODAY)
    assert rendered.status == 403
    assert "You may not see this department or team, or it does not exist." in rendered.html
    assert next(iter(asked.values())) not in PageReader(rendered.html).text


def test_a_team_limited_viewer_may_ask_for_the_department_that_their_team_is_in(landed):
    shown = page(landed, "/attribution", SEARCH, department="product")
    assert [row[0] for row in shown.table("by_team")] == ["search"]


def test_a_name_may_be_repeated(landed):
    query = MultiDict([*NOVEMBER.items(), ("team", "search"), ("team", "claims")])
    shown = PageReader(render(landed, "/", query, EVERYBODY, today=TODAY).html)
    assert {row[0] for row in shown.table("by_team")} == {"search", "claims"}


def test_a_name_is_only_ever_a_name(landed):
    names = ["' OR 1=1 --", "{first:Date}", "\\', 1) OR (1=1", '"><b>x', "a  b"]
    query = MultiDict([*NOVEMBER.items(), *(("team", name) for name in names)])
    html = render(landed, "/", query, EVERYBODY, today=TODAY).html
    shown = PageReader(html)
    assert shown.value("calls") == "0"
    assert differences(shown, landed) == []
    assert "<b>x" not in html


@pytest.mark.parametrize("path", FIGURES)
def test_pages_load_nothing_from_elsewhere_and_nothing_inline(landed, path):
    shown = page(landed, path)
    assert shown.inline == []
    assert all(url.startswith("/assets/") for url in shown.loaded)
    assert all(url.startswith("/") for url in shown.links if url != "#main")


@pytest.mark.parametrize("path", FIGURES)
def test_figures_are_asked_of_documented_views_only(landed, path):
    shown = page(landed, path, SERVICE, currency="HKD")
    asked = " ".join(one.sql for one in (*shown.figures, *shown.tables))
    text = (REPOSITORY / "docs" / "sql.md").read_text("utf-8")
    documented = set(re.findall(r"^## (\w+)$", text, re.MULTILINE))
    assert set(re.findall(r"\b(?:FROM|JOIN) (\w+)", asked)) <= documented


def test_the_dearest_event_is_explained_down_to_its_journal_entry(landed):
    events = page(landed, "/explain").table("dearest_events")
    (link,) = {link for link in page(landed, "/explain").links if f"event={events[0][0]}" in link}
    assert link.startswith("/explain?from=2026-11-01&to=2026-11-30&event=")
    shown = page(landed, "/explain", event=events[0][0])
    fields = dict(shown.table("event"))
    assert fields["event_id"] == events[0][0]
    assert Decimal(fields["cost"]) == Decimal(events[0][-1])
    ledger = shown.table("event_in_ledger")
    assert any(row[3] == fields["price_ref"] for row in ledger)
    assert differences(shown, landed) == []


def test_an_event_of_others_is_no_event(landed):
    ((other,),) = landed.query("SELECT any(event_id) FROM usage WHERE department = 'product'")
    shown = page(landed, "/explain", SERVICE, event=other)
    assert "There is no such event, or you may not see it." in shown.text
    assert shown.tables == []


def test_an_empty_period_leads_to_the_newest_month(landed):
    rendered = render(landed, "/", {"from": "2027-02-01", "to": "2027-02-02"}, EVERYBODY)
    assert "There are no calls in this period" in rendered.html
    assert "Show November 2026" in rendered.html
    assert PageReader(rendered.html).value("spend") == "0"


def test_open_alerts_have_a_form_for_those_who_may_acknowledge(landed):
    html = render(landed, "/alerts", NOVEMBER, EVERYBODY, today=TODAY).html
    assert html.count('action="/alerts/acknowledge"') == 2
    assert "claims &lt;app&gt;" in html
    html = render(landed, "/alerts", NOVEMBER, SEARCH, today=TODAY).html
    assert "search retries" in html
    assert "claims" not in html
    assert "/alerts/acknowledge" not in html


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"from": "soon"}, "from: &#39;soon&#39; is no day; write it like 2026-11-28"),
        ({"from": "2026-11-30", "to": "2026-11-01"}, "to: 2026-11-01 is before from 2026-11-30"),
        ({"from": "1026-11-30"}, "more than three years"),
        ({"tema": "search"}, "tema: there is no such filter; did you mean team?"),
        ({"currency": "euro"}, "currency: &#39;euro&#39; is no currency; write it like HKD"),
        ({"currency": "XXX"}, "there is no exchange rate for XXX; known are USD, HKD"),
        ({"team": "a\nb"}, "is no name"),
    ],
)
def test_a_query_that_cannot_be_is_told_in_one_line(landed, query, words):
    rendered = render(landed, "/", query, EVERYBODY, today=TODAY)
    assert rendered.status == 400
    assert words in rendered.html


def test_a_path_that_is_none_is_not_found(landed):
    assert render(landed, "/nowhere", {}, EVERYBODY).status == 404


def test_a_database_that_is_away_is_told(landed):
    away = ClickHouse("http://127.0.0.1:9")
    rendered = render(away, "/", {}, EVERYBODY)
    assert rendered.status == 503
    assert "cannot be reached" in rendered.html
