"""Settings of every stage: read once, validated, frozen. Environment `SPENDSTREAM_*`.

`docker-compose.yml` and `docs/operations.md` use these names; a test compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import UserError

PREFIX = "SPENDSTREAM_"
_SECRET = ("WEBHOOK", "CLICKHOUSE", "SCHEMA_REGISTRY", "PASSWORD", "SECRET")


class Settings(BaseSettings):
    """All settings. Durations are in seconds unless the name says milliseconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, `host:port[,host:port]`."""
    clickhouse: str = "http://127.0.0.1:8123"
    """HTTP address of ClickHouse."""
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
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
    """...or when it has this many."""
    dedupe_horizon: Annotated[int, Field(ge=1000, le=10_000_000)] = 50_000
    """Events per partition over which a repeated event_id is recognised for certain."""
    max_entry_bytes: Annotated[int, Field(ge=10_000, le=8_000_000)] = 900_000
    """Largest journal entry: under the 1 MiB that brokers take without being told otherwise."""

    prices: Path | None = None
    """Price overrides (YAML), on top of genai-prices."""
    budgets: Path | None = None
    """Budgets (YAML); reloaded when the file changes."""

    storm_window_minutes: Annotated[int, Field(ge=1, le=60)] = 2
    storm_min_calls: Annotated[int, Field(ge=2)] = 20
    """Failed or repeated attempts of one team and application in the window that make a storm..."""
    storm_share_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """...if they are also this share of its calls."""
    storm_quiet_seconds: Annotated[int, Field(ge=1)] = 120
    """A storm is over when it has not been one for so long."""

    slack_webhook: SecretStr | None = None
    webhook: str | None = None
    webhook_secret: SecretStr | None = None
    """Signs what is posted to `webhook`, by the Standard Webhooks specification."""

    web_host: str = "127.0.0.1"
    web_port: Annotated[int, Field(ge=1, le=65535)] = 6066
    drift_check_seconds: Annotated[float, Field(gt=0)] = 60.0
    log_level: str = "INFO"

    @field_validator("clickhouse", "schema_registry", "webhook")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is None:
            return value
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
        return value

    @field_validator("kafka")
    @classmethod
    def _is_host_port(cls, value: str) -> str:
        for server in value.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"{server!r} is no broker; write host:port")
        return value

    @field_validator("log_level")
    @classmethod
    def _is_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError(f"{value!r} is no level; write DEBUG, INFO, WARNING or ERROR")
        return value.upper()


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, with overrides. Raises UserError that names the variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{'_'.join(str(part) for part in first['loc'])}".upper()
        message = str(first["msg"]).removeprefix("Value error, ")
        # Addresses may hold a secret.
        given = "" if name.endswith(_SECRET) else f" (got {first['input']!r})"
        raise UserError(f"{name}: {message}{given}") from None
