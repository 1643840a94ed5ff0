"""Settings: read once, validated, and never printing a secret."""

from __future__ import annotations

import pytest

from schemas.errors import UserError
from streams.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value", "would_be_right"),
    [
        ("SPENDSTREAM_KAFKA", "localhost", "write host:port"),
        ("SPENDSTREAM_KAFKA", "a:1,b", "write host:port"),
        ("SPENDSTREAM_KAFKA", "a:99999", "write host:port"),
        ("SPENDSTREAM_CLICKHOUSE", "http://h:99999", "write http://host:port"),
        ("SPENDSTREAM_CLICKHOUSE", "http://me:hunter2@h:8123", "the user apart"),
        ("SPENDSTREAM_CLICKHOUSE", "localhost:8123", "write http://host:port"),
        ("SPENDSTREAM_USAGE_PARTITIONS", "0", "greater than or equal to 1"),
        ("SPENDSTREAM_USAGE_PARTITIONS", "many", "valid integer"),
        ("SPENDSTREAM_LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
        ("SPENDSTREAM_WEBHOOK", "hooks.example.com", "write http://host:port"),
    ],
)
def test_a_wrong_setting_names_the_variable_and_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, would_be_right: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(name + ":")
    assert would_be_right in message
    # An address may hold a secret, so it is not repeated.
    assert (value in message) == (not name.endswith(("CLICKHOUSE", "WEBHOOK")))
    assert "\n" not in message


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPENDSTREAM_KAFKA", "one:9092")
    assert load_settings().kafka == "one:9092"
    assert load_settings(kafka="two:9092").kafka == "two:9092"


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_PASSWORD", "hunter2-hunter2")
    monkeypatch.setenv("SPENDSTREAM_SLACK_WEBHOOK", "https://hooks.example.com/hunter2-hunter2")
    monkeypatch.setenv("SPENDSTREAM_WEBHOOK_SECRET", "hunter2-hunter2")
    settings = load_settings()
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump()}"
    assert settings.clickhouse_password.get_secret_value() == "hunter2-hunter2"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().kafka = "other:9092"
