"""ClickHouse as a stage asks it: whoever waits for an answer is alive, and inserts are timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from sinks.clickhouse import ClickHouse
from streams.health import beat
from streams.metrics import CLICKHOUSE_INSERT
from streams.work import PATIENCE_SECONDS


class WatchedClickHouse(ClickHouse):
    """The same connection; a request that hangs is ended by the driver, not by a probe."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """As the base class does."""
        with _patience():
            return super().query(sql, parameters)

    def insert(self, table: str, rows: pa.Table, *, token: str | None = None) -> None:
        """As the base class does."""
        with _patience(), CLICKHOUSE_INSERT.labels(table).time():
            super().insert(table, rows, token=token)


@contextmanager
def _patience() -> Iterator[None]:
    beat(within=PATIENCE_SECONDS)
    try:
        yield
    finally:
        beat()
