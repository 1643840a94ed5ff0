from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Contributor, Rule, Transition
from sinks.slack_message import (
    DIGEST_SHOWN,
    SlackMessage,
    digest_message,
    reminder_message,
    reply_message,
    slack_message,
)
from sinks.slack_text import HEADER_LIMIT, SECTION_LIMIT

BUDGET = Alert(
    rule="budget",
    scope={"team": "search"},
    period="2026-11",
    threshold="80",
    transition="opened",
    severity="warning",
    title="Team search has used 82 % of its budget",
    detail="At this rate the budget is used up on 26 November.",
    action="Raise the budget, or move the nightly job to the batch tier.",
    value=Decimal("41.2"),
    limit=Decimal(50),
    since=datetime(2026, 11, 1, tzinfo=UTC),
    until=datetime(2026, 12, 1, tzinfo=UTC),
    at=datetime(2026, 11, 23, 12, 37, 31, tzinfo=UTC),
    contributors=(
        Contributor(name="gpt-5 / nightly", cost=Decimal("30.5"), calls=1234, tokens=4_810_000),
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
        "since": datetime(2026, 11, 23, 12, 36, tzinfo=UTC),
        "until": None,
        "threshold": "20",
        "severity": "critical",
        "title": "Retry storm: agent repeats failing calls",
        "value": Decimal(1270),
        "limit": Decimal(20),
        "unit": "failed calls",
    }
)


def changed(alert: Alert, **changes: Any) -> Alert:
    return alert.model_copy(update=changes)


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


def test_a_budget_reads_as_what_how_much_who_since_when_and_what_to_do() -> None:
    assert texts(slack_message(BUDGET, "https://spend.test/alerts/1?a=1&b=2")) == [
        "⚠️ Team search has used 82 % of its budget",
        "▓▓▓▓▓▓▓▓░░ *82 %* · $41.20 of $50\n"
        "team search · since <!date^1793491200^{date_short_pretty}|2026-11-01 00:00 UTC>"
        " · 7 days left\n"
        "At this rate the budget is used up on 26 November.",
        "*Top contributors*\n"
        "• gpt-5 / nightly: $30.50, 1,234 calls, 4.81 M tokens\n"
        "• self-hosted: cost not known, 1 call",
        "*What to do*\nRaise the budget, or move the nightly job to the batch tier.",
        "<https://spend.test/alerts/1?a=1&amp;b=2|Open in spendstream>"
        f" · alert `{BUDGET.alert_id}` · 2026-11",
    ]


def test_the_fallback_is_one_sentence() -> None:
    assert slack_message(BUDGET, None).text == (
        "⚠️ Team search has used 82 % of its budget: "
        "$41.20 of $50 (82 %), team search, since 2026-11-01 00:00 UTC."
    )


def test_an_exhausted_budget_is_critical_and_over_100_percent() -> None:
    alert = changed(
        BUDGET,
        transition="escalated",
        severity="critical",
        title="Team search has used up its budget.",
        value=Decimal("1250.005"),
        limit=Decimal(1000),
    )
    message = slack_message(alert, None)
    assert texts(message)[0] == "🚨 Escalated: Team search has used up its budget."
    assert texts(message)[1].startswith("▓▓▓▓▓▓▓▓▓▓ *125 %* · $1,250.00 of $1,000\n")
    assert message.text.startswith(
        "🚨 Escalated: Team search has used up its budget: $1,250.00 of $1,000 (125 %), team search"
    )


def test_a_retry_storm_counts_calls_not_dollars() -> None:
    said = texts(slack_message(STORM, None))
    assert said[0] == "🚨 Retry storm: agent repeats failing calls"
    assert said[1].startswith(
        "*1,270 failed calls, limit 20*\n"
        "team search, application agent · since "
        "<!date^1795437360^{date_short_pretty} {time}|2026-11-23 12:36 UTC>\n"
    )


@pytest.mark.parametrize(
    ("rule", "value", "limit", "unit", "said"),
    [
        ("budget", "48210339", "50000000", "tokens", "48.2 M of 50 M tokens"),
        ("executive_review", "1000", "1000", "HKD", "HK$1,000.00 of HK$1,000"),
        ("burn_rate", "3.1", "1", "USD an hour", "spending $3.10 an hour, allowed $1 an hour"),
        ("burn_rate", "14.6", "14.4", "times its pace", "14.6 times its pace, allowed 14.4"),
        ("forecast", "21400", "18000", "HKD", "heading for HK$21,400.00, limit HK$18,000"),
        ("retry_storm", "18.42", None, "USD", "wasted $18.42"),
        ("provider_outage", "2140", "50", "failed calls", "2,140 failed calls, limit 50"),
        ("runaway", "38.2", "25", "USD", "spent $38.20, limit $25"),
        ("context_bloat", "212", None, "USD", "avoidable $212.00"),
        ("context_bloat", "18400", "4100", "input tokens", "18,400 input tokens, norm 4,100"),
        ("anomaly", "84.1", "21", "USD an hour", "$84.10 an hour, usual $21 an hour"),
        ("access", "37", "0", "calls", "37 calls, allowed 0"),
        ("unattributed", "12.4", "5", "%", "12.4 %, limit 5 %"),
        ("unattributed", "12.4", "5", "% of the spend", "12.4 % of the spend, limit 5 %"),
        ("events_lost", "1204", None, "events", "1,204 events"),
        ("drift", "3", "0", "counters", "3 counters, allowed 0"),
        ("budget", None, "50", "USD", "not known of $50"),
        ("runaway", None, "50", "calls", "not known, limit 50 calls"),
    ],
)
def test_every_rule_says_how_much_of_what(
    rule: Rule, value: str | None, limit: str | None, unit: str, said: str
) -> None:
    alert = changed(
        BUDGET,
        rule=rule,
        value=None if value is None else Decimal(value),
        limit=None if limit is None else Decimal(limit),
        unit=unit,
    )
    assert f": {said}" in slack_message(alert, None).text


def test_what_is_acknowledged_says_by_whom_and_asks_for_nothing() -> None:
    said = texts(slack_message(changed(BUDGET, transition="acknowledged", by="maria"), None))
    assert said[0] == "👀 Acknowledged by maria: Team search has used 82 % of its budget"
    assert len(said) == 3
    assert not any("What to do" in text or "At this rate" in text for text in said)
    by_nobody = slack_message(changed(BUDGET, transition="acknowledged"), None)
    assert texts(by_nobody)[0].startswith("👀 Acknowledged: Team")


def test_a_resolved_alert_is_green_and_keeps_the_id_of_the_opened_one() -> None:
    over = {"transition": "resolved", "severity": "info", "at": STORM.since + timedelta(minutes=41)}
    said = texts(slack_message(changed(STORM, **over), None))
    assert said[0] == "✅ Resolved: Retry storm: agent repeats failing calls"
    assert " · after 41 min\n" in said[1]
    assert said[-1] == f"alert `{STORM.alert_id}`"
    assert not any("What to do" in text for text in said)
    budget = texts(slack_message(changed(BUDGET, transition="resolved"), None))
    assert " · resolved <!date^1795437451^" in budget[1]
    assert "left" not in budget[1]


def test_what_holds_again_says_why() -> None:
    said = texts(slack_message(changed(BUDGET, transition="restated"), None))
    assert said[0] == "⚠️ Open again: Team search has used 82 % of its budget"
    assert "late data, a correction or a new limit" in said[1]


def test_a_review_says_how_it_ends() -> None:
    how = f"It stays open until somebody acknowledges it: `spendstream alerts ack {BUDGET.alert_id}"
    review = changed(BUDGET, review=True)
    assert any(how in text for text in texts(slack_message(review, None)))
    assert any(how in text for text in texts(slack_message(changed(review, action=""), None)))
    assert not any(how in text for text in texts(slack_message(BUDGET, None)))
    done = changed(review, transition="acknowledged")
    assert not any(how in text for text in texts(slack_message(done, None)))


def test_a_reply_says_what_has_changed_and_no_more() -> None:
    (said,) = texts(reply_message(changed(STORM, transition="escalated")))
    assert said == (
        "*🚨 Escalated: Retry storm: agent repeats failing calls*\n"
        "*1,270 failed calls, limit 20*\n"
        "At this rate the budget is used up on 26 November."
    )
    resolved = changed(STORM, transition="resolved", detail="", at=STORM.since + timedelta(hours=2))
    (said,) = texts(reply_message(resolved))
    assert said.endswith("\nIt is over after 2 h.")


def test_a_reminder_says_for_how_long_nobody_has_cared() -> None:
    message = reminder_message(BUDGET, BUDGET.at + timedelta(days=1), "https://spend.test/1")
    said = texts(message)
    assert said[0] == "⏰ Still open: Team search has used 82 % of its budget"
    assert said[1].startswith("▓▓▓▓▓▓▓▓░░ *82 %*")
    assert " · 6 days left\n" in said[1]
    assert said[1].endswith("\nNobody has acknowledged it for 1 day.")
    assert said[2].startswith("*What to do*\nRaise")
    assert "Open in spendstream" in said[3]
    assert message.text.startswith("⏰ Still open: Team search")


def test_a_digest_has_the_newest_state_of_each_alert_the_worst_first() -> None:
    seen = changed(BUDGET, transition="acknowledged", by="maria", number=2, scope={"team": "labs"})
    over = changed(STORM, transition="resolved", severity="info", number=2, title="Storm over")
    open_storm = changed(STORM, scope={"team": "ads"}, title="Storm in ads")
    since, until = BUDGET.at - timedelta(hours=9), BUDGET.at
    message = digest_message(
        [over, BUDGET, seen, changed(seen, transition="opened", number=1), open_storm, STORM],
        *(since, until),
        lambda alert: f"https://spend.test/{alert.rule}",
    )
    head, lines, period = texts(message)
    assert head == "📋 4 alerts: 3 open, 1 resolved"
    assert lines.split("\n") == [
        "🚨 *Storm in ads* · 1,270 failed calls, limit 20 <https://spend.test/retry_storm|details>",
        "⚠️ *Team search has used 82 % of its budget* · $41.20 of $50 "
        "<https://spend.test/budget|details>",
        "👀 *Team search has used 82 % of its budget* · $41.20 of $50 · acknowledged by maria "
        "<https://spend.test/budget|details>",
        "✅ *Storm over* · 1,270 failed calls, limit 20 <https://spend.test/retry_storm|details>",
    ]
    assert period.startswith("<!date^1795405051^")
    assert message.text == (
        "📋 4 alerts: 3 open, 1 resolved, 2026-11-23 03:37 UTC – 2026-11-23 12:37 UTC."
    )


def test_a_long_digest_counts_what_it_does_not_show() -> None:
    many = [
        changed(BUDGET, scope={"team": f"t{n}"}, title="<&" * 75) for n in range(DIGEST_SHOWN + 12)
    ]
    message = digest_message(many, BUDGET.at, BUDGET.at)
    assert texts(message)[-2] == "and 12 more"
    assert sum(text.count("⚠️") for text in texts(message)) == DIGEST_SHOWN
    for block in message.blocks:
        block.validate_json()
    assert all(len(text) <= SECTION_LIMIT for text in texts(message))


def test_what_is_not_known_is_said_or_left_out_and_never_zero() -> None:
    assert "*Not known of $50*\n" in texts(slack_message(changed(BUDGET, value=None), None))[1]
    neither = changed(BUDGET, value=None, limit=None, scope={})
    message = slack_message(neither, None)
    assert texts(message)[1].startswith("everyone · since")
    assert message.text.endswith("budget: everyone, since 2026-11-01 00:00 UTC.")


def test_costs_beside_another_currency_are_american_dollars() -> None:
    said = texts(slack_message(changed(BUDGET, unit="HKD"), None))
    assert "• gpt-5 / nightly: US$30.50," in said[2]


def test_times_in_another_zone_fall_back_to_utc() -> None:
    sydney = timezone(timedelta(hours=11))
    alert = changed(BUDGET, since=datetime(2026, 11, 24, 1, 0, tzinfo=sydney))
    assert "since 2026-11-23 14:00 UTC" in slack_message(alert, None).text


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    nasty = "<!channel> & <https://evil.test|click>"
    alert = changed(
        BUDGET,
        scope={"team": nasty},
        title="a <b> & c",
        detail=nasty,
        action=nasty,
        period=nasty,
        unit=nasty,
        contributors=(Contributor(name=nasty, calls=2),),
    )
    link = "https://spend.test/a|b>c d"
    acknowledged = changed(alert, transition="acknowledged", by=nasty)
    messages = [
        slack_message(alert, link),
        slack_message(acknowledged, link),
        reply_message(acknowledged),
        reminder_message(alert, alert.at, link),
        digest_message([alert, acknowledged], alert.at, alert.at, lambda _: link),
    ]
    assert texts(messages[0])[0] == "⚠️ a <b> & c"  # plain_text is shown as it is
    escaped = "&lt;!channel&gt; &amp; &lt;https://evil.test|click&gt;"
    assert f"\nteam {escaped} · since" in texts(messages[0])[1]
    assert f"*Top contributors*\n• {escaped}: cost not known, 2 calls" in texts(messages[0])
    for message in messages:
        blocks = [block.to_dict() for block in message.blocks]
        shown = [text for text in texts(message) if text != blocks[0].get("text", {}).get("text")]
        for text in [message.text, *shown]:
            assert "<!channel" not in text
            assert "<https://evil" not in text
            assert not re.search("&(?!(amp|lt|gt);)", text)
        assert str(blocks).count("'type': 'mrkdwn'") == str(blocks).count("'verbatim': True")
    assert "<https://spend.test/a%7Cb%3Ec%20d|Open in spendstream>" in texts(messages[0])[-1]


def test_three_contributors_are_listed_and_the_rest_is_counted() -> None:
    many = tuple(Contributor(name=f"app-{n}", cost=Decimal(n), calls=n) for n in range(200))
    said = texts(slack_message(changed(BUDGET, contributors=many), None))
    top = next(text for text in said if text.startswith("*Top"))
    assert "app-2:" in top
    assert "app-3:" not in top
    assert top.endswith("\nand 197 more")


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
contributor = st.builds(
    Contributor,
    name=long_text,
    cost=money,
    calls=st.integers(0, 10**12),
    tokens=st.none() | st.integers(0, 10**15),
)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
alerts = st.builds(
    Alert,
    rule=st.sampled_from(get_args(Rule)),
    scope=st.dictionaries(long_text, long_text, max_size=4),
    period=st.one_of(long_text, st.just("2026-11-23T12:36Z"), st.just("2026-11-23T12:36")),
    threshold=long_text,
    transition=st.sampled_from(get_args(Transition)),
    number=st.integers(1, 9),
    severity=st.sampled_from(["info", "warning", "critical"]),
    title=st.text(max_size=150),
    detail=long_text,
    action=long_text,
    value=money,
    limit=money,
    unit=st.sampled_from(["USD", "JPY", "calls", "HKD a day", "%"]) | long_text,
    since=times,
    until=st.none() | times,
    at=st.just(BUDGET.at),
    contributors=st.one_of(
        st.lists(contributor, max_size=6).map(tuple),
        contributor.map(lambda one: (one,) * 200),
    ),
    review=st.booleans(),
    by=st.none() | long_text,
    journal=long_text,
    position=st.integers(0, 2**63),
)


@settings(max_examples=150, deadline=None)
@given(alerts, st.none() | long_text.map(lambda text: f"https://spend.test/{text}"))
def test_every_alert_makes_messages_that_slack_accepts(alert: Alert, link: str | None) -> None:
    for message in (
        slack_message(alert, link),
        reply_message(alert),
        reminder_message(alert, alert.at + timedelta(hours=4), link),
        digest_message([alert] * 2, alert.at, alert.at, lambda _: link),
    ):
        assert_slack_accepts(message)


def assert_slack_accepts(message: SlackMessage) -> None:
    assert 0 < len(message.text) <= SECTION_LIMIT
    assert 1 <= len(message.blocks) <= 50
    for block in message.blocks:
        block.validate_json()
        for element in getattr(block, "elements", []):
            element.validate_json()
        shown = block.to_dict()
        limit = {"header": HEADER_LIMIT}.get(shown["type"], SECTION_LIMIT)
        parts = [shown["text"]] if "text" in shown else []
        assert all(0 < len(part["text"]) <= limit for part in parts)
        elements = shown.get("elements", [])
        assert len(elements) <= 10
        assert all(0 < len(element["text"]) <= SECTION_LIMIT for element in elements)
        for part in [*parts, *elements]:
            if part["type"] == "mrkdwn":
                assert not re.search("&(?!(amp|lt|gt);)", part["text"])
                assert part["text"].count("<!date") == len(
                    re.findall(r"<!date\^-?\d+\^[^|<>]+\|[^|<>]+>", part["text"])
                )
