"""The alerting file: what it may say, and one line for each mistake."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.alerts.alerting_file import Alerting, duration, read_alerting
from streams.alerts.channels import channels_of
from streams.alerts.policy import Policy
from streams.settings import Settings

EXAMPLE = Path(__file__).parents[3] / "examples" / "alerting.yaml"


@pytest.fixture
def reading(tmp_path):
    def read(text: str) -> Alerting:
        path = tmp_path / "alerting.yaml"
        path.write_text(text)
        return read_alerting(path)

    return read


def test_the_example_is_read_as_it_says():
    policy = read_alerting(EXAMPLE).policy
    assert [route.to for route in policy.routes] == [("ops",), ("finance",), ("pager",)]
    assert policy.routes[2].scope == (("environment", ("production",)),)
    quiet = policy.quiet_hours
    assert quiet is not None
    assert (quiet.start, quiet.end, quiet.unless) == (time(22), time(7), "critical")
    assert policy.digest is not None
    assert policy.cooldown == timedelta(minutes=10)


def test_nothing_said_is_everything_to_everybody_with_a_daily_reminder(reading):
    assert reading("channels: {}\n").policy == Policy()
    assert reading("renotify: off\n").policy.renotify is None


def test_channels_are_made_from_the_environment(monkeypatch):
    for name, value in {
        "SLACK_BOT_TOKEN": "xoxb-secret",
        "FINANCE_SLACK": "https://hooks.slack.example/T/B/secret",
        "PAGER_URL": "https://pager.example/hook",
        "PAGER_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings(webhook="https://other.example/hook", webhook_secret="a secret")
    made = channels_of(settings, read_alerting(EXAMPLE))
    assert [channel.name for channel in made] == ["webhook", "ops", "finance", "pager"]
    assert "secret" not in repr(made)


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    with pytest.raises(UserError, match="channel ops: the environment variable SLACK_BOT_TOKEN is"):
        channels_of(Settings(), read_alerting(EXAMPLE))


def test_two_channels_of_one_name_are_refused(monkeypatch):
    monkeypatch.setenv("A", "https://hooks.slack.example/T/B/x")
    alerting = Alerting.model_validate({"channels": {"slack": {"slack_webhook_env": "A"}}})
    settings = Settings(slack_webhook="https://hooks.slack.example/T/B/y")
    with pytest.raises(UserError, match="two channels 'slack'"):
        channels_of(settings, alerting)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("routes:\n  - to: [opps]\n", ":2: routes[0].to: 'opps' is no channel; known are"),
        ("routes:\n  - rules: [budget]\n", ":2: routes[0].to: is missing; write for example"),
        ("routes: [{to: slack, rules: budgt}]\n", "'budgt' is no rule; did you mean budget?"),
        ("routes: [{to: slack, severity: bad}]\n", "is 'bad'; write info, warning, critical"),
        ("routes: [{to: slack, scope: {taem: a}}]\n", "taem"),
        (
            "quiet_hours: {start: 22, end: 7}\n",
            "is '22'; write a time in quotes, such as \"22:00\"",
        ),
        ("digest: {every: 1 hour}\n", "write seconds, minutes, hours or days, such as 90s"),
        ("cooldown: 0m\n", "is '0m'; write seconds"),
        ("renotify: {every: 40d}\n", "is '40d'; write seconds"),
        ("channels: {a: {slack_webhook: x}}\n", "slack_webhook: is no key of a channel; did you"),
        (
            "channels: {a: {slack_webhook_env: https://x}}\n",
            "is no name of an environment variable",
        ),
        ("channels: {a: {webhook_env: X}}\n", "webhook_env and secret_env belong together"),
        ("channels: {a: {}}\n", "needs one of slack_webhook_env"),
        ("- a\n", ":1: a mapping with `channels:` and `routes:` was expected"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(reading, text, says):
    with pytest.raises(UserError) as caught:
        reading(text)
    assert says in str(caught.value)
    assert "alerting.yaml:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_duration_on_the_command_line_says_what_is_right():
    assert duration("90m", "--for") == timedelta(minutes=90)
    with pytest.raises(UserError, match=r"--for soon: write seconds, minutes"):
        duration("soon", "--for")
