"""Settings of every stage: read once, validated, frozen. Environment `SPENDSTREAM_*`.

`docker-compose.yml` and `docs/operations.md` use these names; a test compares them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import UserError
from streams.access import MECHANISMS, OPTIONAL, SECURITY, mistakes, one_of

PREFIX = "SPENDSTREAM_"
_SECRET = ("WEBHOOK", "CLICKHOUSE", "SCHEMA_REGISTRY", "PASSWORD", "SECRET", "TOKEN")


class Settings(BaseSettings):
    """All settings. Durations are in seconds unless the name says milliseconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, `host:port[,host:port]`."""
    kafka_security: str = "PLAINTEXT"
    """What the broker speaks: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    kafka_sasl_mechanism: str | None = None
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; SASL needs it."""
    kafka_user: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca: Path | None = None
    """PEM file of the CA that signed the broker's certificate, in place of the system's CAs."""
    kafka_client_cert: Path | None = None
    """PEM file of our own certificate, for a broker that demands one (mutual TLS)..."""
    kafka_client_key: Path | None = None
    """...and of its key, not encrypted."""
    clickhouse: str = "http://127.0.0.1:8123"
    """HTTP address of ClickHouse."""
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_reader: str | None = None
    """User for what only reads: `sql`, `doctor`, the page. The user above where it is not set."""
    clickhouse_reader_password: SecretStr = SecretStr("")
    clickhouse_ca: Path | None = None
    """PEM file of the CA that signed ClickHouse's certificate, in place of the system's CAs."""
    clickhouse_database: str = "default"
    clickhouse_cluster: str | None = None
    """Tables are created ON CLUSTER with Replicated engines where it is set."""
    schema_registry: str | None = None
    """Base address of a Confluent-compatible schema registry, for events in its framing."""
    usage_partitions: Annotated[int, Field(ge=1, le=1024)] = 4
    """Partitions that `llm.usage` is created with."""
    replication_factor: Annotated[int, Field(ge=1, le=7)] = 1
    """Replicas that topics are created with."""

    session_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = 6000
    """How long a silent member keeps its partitions: the time to a takeover after a crash."""
    fetch_max_wait_ms: Annotated[int, Field(ge=1, le=5000)] = 100
    """Longest wait of a fetch. The embedded broker does not wake one early: keep it low there. At
    20 an idle embedded stack takes a third of a core for asking, at 100 a tenth."""

    batch_linger_ms: Annotated[int, Field(ge=10, le=10_000)] = 250
    """A micro-batch is closed this long after its first event..."""
    batch_events: Annotated[int, Field(ge=1, le=500_000)] = 50_000
    """...or when it has this many..."""
    batch_bytes: Annotated[int, Field(ge=65_536, le=1_073_741_824)] = 16_777_216
    """...or when their values have this many bytes. A meter holds up to three batches, an archive
    sink two."""
    dedupe_horizon: Annotated[int, Field(ge=1000, le=10_000_000)] = 50_000
    """Events per partition over which a repeated event_id is recognised for certain."""
    max_entry_bytes: Annotated[int, Field(ge=10_000, le=8_000_000)] = 900_000
    """Largest journal entry: under the 1 MiB that brokers take without being told otherwise."""

    prices: Path | None = None
    """Price overrides (YAML), on top of genai-prices."""
    budgets: Path | None = None
    """Budgets (YAML); reloaded when the file changes."""
    detectors: Path | None = None
    """What is far too much, and who may call which models (YAML); reloaded when it changes."""
    alerting: Path | None = None
    """Channels, routes, quiet hours (YAML); read when the guard starts."""

    storm_window_minutes: Annotated[int, Field(ge=1, le=60)] = 2
    storm_min_calls: Annotated[int, Field(ge=2)] = 20
    """Failed or repeated attempts of one team and application in the window that make a storm..."""
    storm_share_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """...if they are also this share of its calls."""
    storm_quiet_seconds: Annotated[int, Field(ge=1)] = 120
    """A storm is over when it has not been one for so long."""

    slack_webhook: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    slack_channel: str | None = None
    """Where the bot posts: an id such as C0123456789."""
    webhook: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    """Signs what is posted to `webhook`, by the Standard Webhooks specification."""

    web_host: str = "127.0.0.1"
    web_port: Annotated[int, Field(ge=1, le=65535)] = 6066
    ingest_host: str = "127.0.0.1"
    """Address that `spendstream web` takes events on; one that others can reach needs tokens..."""
    ingest_port: Annotated[int, Field(ge=1, le=65535)] = 6067
    """...and its port."""
    tokens: Path | None = None
    """Who may write over HTTP, for which teams, and see whose spend on the page (YAML); reloaded
    when it changes."""
    session_secret: Annotated[SecretStr | None, Field(min_length=16)] = None
    """Signs the cookies of who has signed in. Give all web stages behind one address the same; made
    up at each start where it is not set."""
    health_host: str = "127.0.0.1"
    """Address on which a stage answers `/healthz`, `/readyz` and `/metrics`..."""
    health_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """...and its port; without one it does not."""
    drift_check_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How often the guard compares its counters with the ledger..."""
    reconcile_seconds: Annotated[float, Field(gt=0)] = 300.0
    """...and the archive with the ledger: that reads the whole archive."""
    log_level: str = "INFO"

    @field_validator(*OPTIONAL, "session_secret", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: object) -> object:
        # Compose hands a variable that is not set on as an empty one.
        return None if value == "" else value

    @field_validator("clickhouse", "schema_registry")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None:
            _check_http(value)
        return value

    @field_validator("webhook")
    @classmethod
    def _is_secret_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check_http(value.get_secret_value())
        return value

    @field_validator("kafka")
    @classmethod
    def _is_host_port(cls, value: str) -> str:
        if "@" in value:
            raise ValueError(f"has a user in it; write host:port, and {PREFIX}KAFKA_USER apart")
        for server in value.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"{server!r} is no broker; write host:port")
        return value

    @field_validator("kafka_security")
    @classmethod
    def _is_security(cls, value: str) -> str:
        return one_of(SECURITY, value)

    @field_validator("kafka_sasl_mechanism")
    @classmethod
    def _is_mechanism(cls, value: str | None) -> str | None:
        return value if value is None else one_of(MECHANISMS, value)

    @field_validator("log_level")
    @classmethod
    def _is_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError(f"{value!r} is no level; write DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @model_validator(mode="after")
    def _access_fits(self) -> Self:
        if mistake := next(mistakes(self, _variable), None):
            raise ValueError(mistake)
        return self


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, with overrides. Raises UserError that names the variable.

    A secret may stand in a file that ``…_FILE`` names, as containers are given them.
    """
    given = {**_secrets_in_files(), **overrides}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        first = error.errors()[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        if not first["loc"]:  # about several; what was given would be all settings
            raise UserError(message) from None
        name = _variable("_".join(str(part) for part in first["loc"]))
        # Addresses may hold a secret.
        secret = name.endswith(_SECRET) or "@" in str(first["input"])
        got = "" if secret else f" (got {first['input']!r})"
        raise UserError(f"{name}: {message}{got}") from None


def _variable(field: str) -> str:
    return f"{PREFIX}{field}".upper()


def _secrets_in_files() -> dict[str, str]:
    """Secrets whose variable is not set, and whose file is."""
    found = {}
    for name, field in Settings.model_fields.items():
        if SecretStr not in (field.annotation, *get_args(field.annotation)):
            continue
        path = os.environ.get(f"{_variable(name)}_FILE")
        if path and _variable(name) not in os.environ:
            try:
                found[name] = Path(path).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "is no text"
                raise UserError(f"{_variable(name)}_FILE: {path}: {why}") from None
    return found


def _check_http(value: str) -> None:
    try:
        parts = urlsplit(value)
        port, host, user = parts.port, parts.hostname, parts.username
    except ValueError:
        port = host = user = None
    if user is not None:
        # Not repeated: what stands before the @ is a secret.
        raise ValueError("has a user in it; write http://host:port, and the user apart")
    if not value.startswith(("http://", "https://")) or not host or port == 0:
        raise ValueError("is no address; write http://host:port")
