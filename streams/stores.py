"""Connections to ClickHouse with the settings' address and users."""

from __future__ import annotations

from pydantic import SecretStr

from schemas.errors import UserError
from sinks.clickhouse import ClickHouse, ClickHouseDenied, ClickHouseError
from streams.kafka_access import trusting
from streams.settings import PREFIX, Settings
from streams.watched_clickhouse import WatchedClickHouse


def clickhouse(settings: Settings) -> ClickHouse:
    """A new connection. Nothing is reached before it is used.

    Raises UserError where the CA file is no PEM.
    """
    return _connection(settings, settings.clickhouse_user, settings.clickhouse_password)


def clickhouse_reader(settings: Settings) -> ClickHouse:
    """The same for what only reads: as the reader, where there is one."""
    if settings.clickhouse_reader is None:
        return clickhouse(settings)
    return _connection(settings, settings.clickhouse_reader, settings.clickhouse_reader_password)


def check_access(settings: Settings) -> None:
    """Raise UserError where ClickHouse does not let us in, or is not who it should be.

    For a stage that starts. Once it runs it tries again, whatever ClickHouse says, and one that is
    away is waited for from the beginning.
    """
    connection = clickhouse(settings)
    try:
        connection.query("SELECT 1")
    except ClickHouseDenied as error:
        said = str(error)
        address = "mismatch" in said or "speak TLS" in said
        wrong = "" if address else "_CA" if "certificate" in said else "_PASSWORD"
        raise UserError(f"{PREFIX}CLICKHOUSE{wrong}: {said}") from error
    except ClickHouseError:
        return
    finally:
        connection.close()


def _connection(settings: Settings, user: str, password: SecretStr) -> ClickHouse:
    if settings.clickhouse_ca is not None:
        trusting(settings.clickhouse_ca, f"{PREFIX}CLICKHOUSE_CA")
    return WatchedClickHouse(
        settings.clickhouse,
        user=user,
        password=password.get_secret_value(),
        database=settings.clickhouse_database,
        ca=settings.clickhouse_ca,
    )
