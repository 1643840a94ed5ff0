"""Connections to ClickHouse with the settings' address and user."""

from __future__ import annotations

from sinks.clickhouse import ClickHouse
from streams.settings import Settings


def clickhouse(settings: Settings) -> ClickHouse:
    """A new connection. Nothing is reached before it is used."""
    return ClickHouse(
        settings.clickhouse,
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
        database=settings.clickhouse_database,
    )
