from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from schemas.alerts import Rule
from sinks.alert_samples import RULES, as_test, history
from streams.alerts.history import Histories

NOW = datetime(2026, 3, 1, 1, 30, tzinfo=ZoneInfo("Asia/Hong_Kong"))


@pytest.mark.parametrize("rule", RULES)
def test_a_sample_has_a_history_that_the_alerts_topic_could_have(rule: Rule) -> None:
    alerts = history(rule, NOW)
    known = Histories()
    assert all(known.accept(alert) for alert in alerts)
    assert [alert.transition for alert in alerts] == [
        *("opened", "escalated", "acknowledged", "resolved", "restated")
    ]
    assert len({alert.alert_id for alert in alerts}) == 1
    assert {alert.rule for alert in alerts} == {rule}
    assert alerts[-1].at == NOW
    assert all(alert.since < alert.at for alert in alerts)


def test_a_month_begins_at_midnight_where_the_reader_is() -> None:
    opened = history("budget", NOW)[0]
    assert opened.period == "2026-02"
    assert opened.since == datetime(2026, 1, 31, 16, tzinfo=UTC)
    assert opened.until == datetime(2026, 2, 28, 16, tzinfo=UTC)


def test_a_test_is_marked_and_is_never_taken_for_an_earlier_one() -> None:
    opened = history("budget", NOW)[0]
    first, second = as_test(opened, "1"), as_test(opened, "2")
    assert first.title == f"[test] {opened.title}"
    assert len({opened.alert_id, first.alert_id, second.alert_id}) == 3
