"""Settings for a broker and a ClickHouse that demand something: what fits, and what is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.settings import PREFIX, load_settings
from streams.stack.run_file import settings_for, write_run_file

SASL = {
    "KAFKA_SECURITY": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_USER": "stage",
    "KAFKA_PASSWORD": "hunter2",
}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture
def pem(tmp_path: Path) -> str:
    file = tmp_path / "some.pem"
    file.touch()
    return str(file)


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name, value)


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in SASL.items() if key != name}


MISTAKES = [
    (without("KAFKA_SASL_MECHANISM"), "KAFKA_SASL_MECHANISM", "needs it"),
    (without("KAFKA_USER"), "KAFKA_USER", "needs it"),
    (without("KAFKA_PASSWORD"), "KAFKA_PASSWORD", "needs it"),
    (without("KAFKA_SECURITY"), "KAFKA_SASL_MECHANISM", "SASL_PLAINTEXT or SASL_SSL"),
    ({"KAFKA_PASSWORD": "hunter2"}, "KAFKA_PASSWORD", "SASL_PLAINTEXT or SASL_SSL"),
    ({"KAFKA_CA": "PEM"}, "KAFKA_CA", "SSL or SASL_SSL"),
    ({**SASL, "KAFKA_CA": "PEM"}, "KAFKA_CA", "SSL or SASL_SSL"),
    ({"KAFKA_SECURITY": "SSL", "KAFKA_CA": "/no/such.pem"}, "KAFKA_CA", "/no/such.pem is no file"),
    ({"KAFKA_SECURITY": "SSL", "KAFKA_CLIENT_CERT": "PEM"}, "KAFKA_CLIENT_KEY", "set both"),
    ({"KAFKA_SECURITY": "SSL", "KAFKA_CLIENT_KEY": "PEM"}, "KAFKA_CLIENT_CERT", "set both"),
    ({"KAFKA_SECURITY": "TLS"}, "KAFKA_SECURITY", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
    ({**SASL, "KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM", "PLAIN, SCRAM-SHA-256"),
    ({"KAFKA": "stage:hunter2@kafka:9092"}, "KAFKA", "KAFKA_USER apart"),
    ({"CLICKHOUSE_CA": "PEM"}, "CLICKHOUSE_CA", "https://host:port"),
    ({"CLICKHOUSE_READER_PASSWORD": "hunter2"}, "CLICKHOUSE_READER_PASSWORD", "set both"),
    ({"KAFKA_PASSWORD_FILE": "/no/such"}, "KAFKA_PASSWORD_FILE", "No such file"),
]


@pytest.mark.parametrize(("values", "names", "says"), MISTAKES, ids=lambda value: str(value)[:40])
def test_what_does_not_go_together_is_one_line_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, pem: str, values: dict[str, str], names: str, says: str
) -> None:
    set_all(monkeypatch, {n: pem if value == "PEM" else value for n, value in values.items()})
    with pytest.raises(UserError) as caught:
        load_settings()
    message = str(caught.value)
    assert PREFIX + names in message
    assert says in message
    assert "hunter2" not in message
    assert "\n" not in message


def test_names_of_kafka_are_known_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    lower = {n: v.lower() for n, v in SASL.items()} | {"KAFKA_SASL_MECHANISM": "scram-sha-512"}
    set_all(monkeypatch, lower)
    settings = load_settings()
    assert settings.kafka_security == "SASL_PLAINTEXT"
    assert settings.kafka_sasl_mechanism == "SCRAM-SHA-512"


def test_what_compose_hands_on_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("SASL_MECHANISM", "USER", "PASSWORD", "CA", "CLIENT_CERT", "CLIENT_KEY")
    set_all(monkeypatch, {f"KAFKA_{name}": "" for name in names} | {"CLICKHOUSE_READER": ""})
    settings = load_settings()
    assert (settings.kafka_password, settings.kafka_ca, settings.clickhouse_reader) == (None,) * 3


def test_a_secret_may_stand_in_a_file_and_the_variable_itself_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("from-the-file\n")
    set_all(monkeypatch, without("KAFKA_PASSWORD") | {"KAFKA_PASSWORD_FILE": str(file)})
    password = load_settings().kafka_password
    assert password is not None
    assert password.get_secret_value() == "from-the-file"
    monkeypatch.setenv("SPENDSTREAM_KAFKA_PASSWORD", "said-itself")
    password = load_settings().kafka_password
    assert password is not None
    assert password.get_secret_value() == "said-itself"


def test_no_secret_prints_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "CLICKHOUSE_PASSWORD": "hunter2",
        "CLICKHOUSE_READER": "reader",
        "CLICKHOUSE_READER_PASSWORD": "hunter2",
        "WEBHOOK": "https://hooks.example.com/hunter2",
    }
    set_all(monkeypatch, SASL | secrets)
    settings = load_settings()
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump()}"


def test_a_stack_in_the_folder_is_reached_as_it_demands_not_as_another_broker_would(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_run_file(
        tmp_path, load_settings(kafka="127.0.0.1:1", clickhouse="http://127.0.0.1:2"), {}
    )
    assert "hunter2" not in (tmp_path / "run.json").read_text()
    set_all(monkeypatch, SASL)
    found = settings_for(tmp_path)
    assert (found.kafka, found.kafka_security, found.kafka_user) == (
        "127.0.0.1:1",
        "PLAINTEXT",
        None,
    )
    assert found.clickhouse_reader == "reader"
    named = settings_for(tmp_path, kafka="kafka:9092", clickhouse="http://clickhouse:8123")
    assert (named.kafka_security, named.kafka_user) == ("SASL_PLAINTEXT", "stage")
    assert named.clickhouse_reader is None


def test_a_stack_on_a_secured_kafka_is_reached_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_all(monkeypatch, SASL)
    write_run_file(tmp_path, load_settings(kafka="kafka:9092"), {})
    found = settings_for(tmp_path)
    assert (found.kafka, found.kafka_security) == ("kafka:9092", "SASL_PLAINTEXT")
    assert "hunter2" not in (tmp_path / "run.json").read_text()
