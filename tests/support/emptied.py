"""One database for the tests of a module, emptied for each: its tables are made once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate


@contextmanager
def migrated(endpoint: str, name: str) -> Iterator[ClickHouse]:
    """A connection to a new database of this name, with all tables."""
    server = ClickHouse(endpoint)
    server.command(f"CREATE DATABASE {name}")
    connection = ClickHouse(endpoint, database=name)
    try:
        migrate(connection)
        yield connection
    finally:
        connection.close()
        server.command(f"DROP DATABASE {name}")
        server.close()


def remove_rows(connection: ClickHouse) -> None:
    """Take the rows out of every table that has any, but the record of migrations."""
    for (name,) in connection.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND engine LIKE '%MergeTree' AND total_rows > 0 AND name != 'migrations'"
    ):
        connection.command(f"TRUNCATE TABLE `{name}`")
