from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Contributor
from sinks.slack_message import (
    FIELD_LIMIT,
    HEADER_LIMIT,
    SECTION_LIMIT,
    SlackMessage,
    amount_text,
    slack_message,
)

BUDGET = Alert(
    rule="budget",
    scope={"team": "search"},
    period="2026-11",
    threshold="80",
    transition="opened",
    severity="warning",
    title="Team search has used 80 % of its budget",
    detail="At this rate the budget is used up on 26 November.",
    action="Raise the budget, or move the nightly job to the batch tier.",
    value=Decimal("41.2"),
    limit=Decimal(50),
    since=datetime(2026, 11, 23, 12, 37, 30, tzinfo=UTC),
    at=datetime(2026, 11, 23, 12, 37, 31, tzinfo=UTC),
    contributors=(
        Contributor(name="gpt-5 / nightly", cost=Decimal("30.5"), calls=1234),
        Contributor(name="self-hosted", cost=None, calls=1),
    ),
    journal="llm.spend",
    position=4711,
)
STORM = BUDGET.model_copy(
    update={
        "rule": "retry_storm",
        "scope": {"team": "search", "application": "agent"},
        "period": "2026-11-23T12:36Z",
        "threshold": "20",
        "severity": "critical",
        "title": "Retry storm: agent repeats failing calls",
        "value": Decimal(1270),
        "limit": Decimal(20),
        "unit": "failed calls",
    }
)


def texts(message: SlackMessage) -> list[str]:
    """Every text object of the message, in reading order."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") in ("mrkdwn", "plain_text"):
                found.append(node["text"])
            else:
                for child in node.values():
                    walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk([block.to_dict() for block in message.blocks])
    return found


def test_a_budget_at_80_percent_reads_as_who_how_much_since_when() -> None:
    assert texts(slack_message(BUDGET, "https://spend.test/alerts/1?a=1&b=2")) == [
        "⚠️ Team search has used 80 % of its budget",
        "At this rate the budget is used up on 26 November.",
        "*Who*\nteam search",
        "*How much*\n$41.20 of $50.00 (82 %)",
        "*Since*\n<!date^1795437450^{date_short_pretty} {time}|2026-11-23 12:37 UTC>",
        "*Period*\n2026-11",
        "*Level*\nwarning",
        "*Top contributors*\n"
        "• gpt-5 / nightly: $30.50, 1,234 calls\n"
        "• self-hosted: cost not known, 1 call",
        "*What to do*\nRaise the budget, or move the nightly job to the batch tier.",
        "<https://spend.test/alerts/1?a=1&amp;b=2|Open in spendstream>",
        f"alert `{BUDGET.alert_id}`",
        "budget, threshold 80",
        "evidence: llm.spend at 4711",
    ]


def test_the_fallback_is_one_sentence() -> None:
    assert slack_message(BUDGET, None).text == (
        "⚠️ Team search has used 80 % of its budget: "
        "team search, $41.20 of $50.00 (82 %), since 2026-11-23 12:37 UTC."
    )


def test_an_exhausted_budget_is_critical_and_over_100_percent() -> None:
    alert = BUDGET.model_copy(
        update={
            "transition": "escalated",
            "severity": "critical",
            "title": "Team search has used up its budget.",
            "value": Decimal("1250.005"),
            "limit": Decimal(1000),
        }
    )
    message = slack_message(alert, None)
    assert texts(message)[0] == "🚨 Escalated: Team search has used up its budget."
    assert "*How much*\n$1,250.00 of $1,000.00 (125 %)" in texts(message)
    assert message.text.startswith(
        "🚨 Escalated: Team search has used up its budget: team search, $1,250.00"
    )


def test_a_retry_storm_counts_calls_not_dollars() -> None:
    said = texts(slack_message(STORM, None))
    assert said[0] == "🚨 Retry storm: agent repeats failing calls"
    assert "*Who*\nteam search, application agent" in said
    assert "*How much*\n1,270 failed calls (limit 20 failed calls)" in said
    assert (
        "*Period*\nfrom <!date^1795437360^{date_short_pretty} {time}|2026-11-23 12:36 UTC>" in said
    )


def test_a_resolved_alert_is_green_and_keeps_the_id_of_the_opened_one() -> None:
    resolved = STORM.model_copy(
        update={"transition": "resolved", "severity": "info", "at": STORM.at + timedelta(hours=1)}
    )
    said = texts(slack_message(resolved, None))
    assert said[0] == "✅ Resolved: Retry storm: agent repeats failing calls"
    assert "*Resolved*\n<!date^1795441051^{date_short_pretty} {time}|2026-11-23 13:37 UTC>" in said
    assert f"alert `{STORM.alert_id}`" in said


def test_what_is_not_known_is_said_or_left_out_and_never_zero() -> None:
    unknown = BUDGET.model_copy(update={"value": None})
    assert "*How much*\nnot known (limit $50.00)" in texts(slack_message(unknown, None))
    neither = BUDGET.model_copy(update={"value": None, "limit": None, "scope": {}})
    message = slack_message(neither, None)
    assert not any("How much" in text for text in texts(message))
    assert "*Who*\neveryone" in texts(message)
    assert message.text.endswith("budget: everyone, since 2026-11-23 12:37 UTC.")


def test_times_in_another_zone_fall_back_to_utc() -> None:
    sydney = timezone(timedelta(hours=11))
    alert = BUDGET.model_copy(update={"since": datetime(2026, 11, 24, 1, 0, tzinfo=sydney)})
    assert "since 2026-11-23 14:00 UTC" in slack_message(alert, None).text


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    nasty = "<!channel> & <https://evil.test|click>"
    alert = BUDGET.model_copy(
        update={
            "scope": {"team": nasty},
            "title": "a <b> & c",
            "detail": nasty,
            "action": nasty,
            "period": nasty,
            "journal": nasty,
            "contributors": (Contributor(name=nasty, calls=2),),
        }
    )
    message = slack_message(alert, "https://spend.test/a|b>c d")
    shown = texts(message)
    assert shown[0] == "⚠️ a <b> & c"  # plain_text is shown as it is
    for text in [message.text, *shown[1:]]:
        assert "<!channel" not in text
        assert "<https://evil" not in text
        assert not re.search("&(?!(amp|lt|gt);)", text)
    assert "<https://spend.test/a%7Cb%3Ec%20d|Open in spendstream>" in shown
    escaped = "&lt;!channel&gt; &amp; &lt;https://evil.test|click&gt;"
    assert f"*Who*\nteam {escaped}" in shown
    assert f"*Top contributors*\n• {escaped}: cost not known, 2 calls" in shown
    mrkdwn = str([block.to_dict() for block in message.blocks])
    assert mrkdwn.count("'type': 'mrkdwn'") == mrkdwn.count("'verbatim': True")


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        ("0", "USD", "$0.00"),
        ("41.2", "USD", "$41.20"),
        ("1234567.891", "USD", "$1,234,567.89"),
        ("99999999999999999999999999.99", "USD", "$99,999,999,999,999,999,999,999,999.99"),
        ("0.5", "USD", "$0.50"),
        ("0.4123", "USD", "$0.412"),
        ("0.004", "USD", "$0.004"),
        ("0.00412345", "USD", "$0.00412"),
        ("0.9999", "USD", "$1.00"),
        ("0.000000000001", "USD", "$0.000000000001"),
        ("0.0000000000001", "USD", "under $0.000000000001"),
        ("-0.25", "USD", "-$0.25"),
        ("12", "CHF", "CHF 12.00"),
        ("3", "EUR", "€3.00"),
        ("27", "calls", "27 calls"),
        ("12345", "events", "12,345 events"),
        ("2.5", "calls a minute", "2.500 calls a minute"),
    ],
)
def test_amounts_are_exact_and_readable(amount: str, unit: str, text: str) -> None:
    assert amount_text(Decimal(amount), unit) == text


@pytest.mark.parametrize(
    ("value", "limit", "percent"),
    [
        ("49.999999", "50", "(99 %)"),
        ("49.999999999999999999999999999999999999", "50", "(99 %)"),
        ("50", "50", "(100 %)"),
        ("0.01", "50", "(under 1 %)"),
        ("0", "50", "(0 %)"),
        ("600", "50", "(1,200 %)"),
    ],
)
def test_a_budget_is_at_100_percent_only_when_it_is_used_up(
    value: str, limit: str, percent: str
) -> None:
    alert = BUDGET.model_copy(update={"value": Decimal(value), "limit": Decimal(limit)})
    assert percent in slack_message(alert, None).text


@pytest.mark.parametrize(("value", "limit"), [("5", "0"), ("-5", "50")])
def test_no_percentage_where_it_would_mean_nothing(value: str, limit: str) -> None:
    alert = BUDGET.model_copy(update={"value": Decimal(value), "limit": Decimal(limit)})
    assert "(" not in slack_message(alert, None).text


@given(st.decimals(min_value="1e-18", max_value="1e26", allow_nan=False, allow_infinity=False))
def test_a_positive_amount_never_reads_as_zero(amount: Decimal) -> None:
    shown = amount_text(amount, "USD")
    assert re.search("[1-9]", shown)
    number = Decimal(shown.removeprefix("under ").removeprefix("$").replace(",", ""))
    if not shown.startswith("under"):
        assert abs(number - amount) <= max(amount / 200, Decimal("1e-12"))


def test_five_contributors_are_listed_and_the_rest_is_counted() -> None:
    many = tuple(Contributor(name=f"app-{n}", cost=Decimal(n), calls=n) for n in range(200))
    said = texts(slack_message(BUDGET.model_copy(update={"contributors": many}), None))
    top = next(text for text in said if text.startswith("*Top"))
    assert "app-4:" in top
    assert "app-5:" not in top
    assert top.endswith("\nand 195 more")


def test_a_link_that_is_too_long_is_left_out_and_not_cut() -> None:
    said = texts(slack_message(BUDGET, "https://spend.test/" + "x" * 3000))
    assert not any("spend.test" in text for text in said)


long_text = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="&<>x\n *`|é🚨", max_size=60).map(lambda text: text * 150),
)
money = st.none() | st.decimals(
    min_value="-1e26", max_value="1e26", allow_nan=False, allow_infinity=False
)
contributor = st.builds(Contributor, name=long_text, cost=money, calls=st.integers(0, 10**12))
alerts = st.builds(
    Alert,
    rule=st.sampled_from(["budget", "retry_storm", "events_lost", "drift"]),
    scope=st.dictionaries(long_text, long_text, max_size=4),
    period=st.one_of(long_text, st.just("2026-11-23T12:36Z"), st.just("2026-11-23T12:36")),
    threshold=long_text,
    transition=st.sampled_from(["opened", "escalated", "resolved"]),
    severity=st.sampled_from(["info", "warning", "critical"]),
    title=st.text(max_size=150),
    detail=long_text,
    action=long_text,
    value=money,
    limit=money,
    unit=st.sampled_from(["USD", "JPY", "calls"]) | long_text,
    since=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    at=st.just(BUDGET.at),
    contributors=st.one_of(
        st.lists(contributor, max_size=6).map(tuple),
        contributor.map(lambda one: (one,) * 200),
    ),
    journal=long_text,
    position=st.integers(0, 2**63),
)


@settings(max_examples=150, deadline=None)
@given(alerts, st.none() | long_text.map(lambda text: f"https://spend.test/{text}"))
def test_every_alert_makes_a_message_that_slack_accepts(alert: Alert, link: str | None) -> None:
    message = slack_message(alert, link)
    assert 0 < len(message.text) <= SECTION_LIMIT
    assert 1 < len(message.blocks) <= 50
    for block in message.blocks:
        block.validate_json()
        for element in getattr(block, "elements", []):
            element.validate_json()
        shown = block.to_dict()
        limit = {"header": HEADER_LIMIT}.get(shown["type"], SECTION_LIMIT)
        parts = [shown["text"]] if "text" in shown else []
        assert all(0 < len(part["text"]) <= limit for part in parts)
        fields = shown.get("fields", [])
        assert len(fields) <= 10
        assert all(0 < len(field["text"]) <= FIELD_LIMIT for field in fields)
        elements = shown.get("elements", [])
        assert len(elements) <= 10
        assert all(0 < len(element["text"]) <= SECTION_LIMIT for element in elements)
        for part in [*parts, *fields, *elements]:
            if part["type"] == "mrkdwn":
                assert not re.search("&(?!(amp|lt|gt);)", part["text"])
