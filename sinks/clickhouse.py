"""ClickHouse by HTTP, through clickhouse-connect: the embedded engine and a server alike."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError as DriverError
from clickhouse_connect.driver.exceptions import OperationalError

from schemas.errors import SpendstreamError


class ClickHouseError(SpendstreamError):
    """ClickHouse did not do what it was asked.

    ├── ClickHouseUnavailable  it could not be reached, or broke off: try again
    └── ClickHouseRefused      it answered with an error
        └── ClickHouseDenied   it does not let us in, or is not who it should be
    """


class ClickHouseUnavailable(ClickHouseError):
    """Not reachable, or it broke off. Whether it executed the statement is not known."""


class ClickHouseRefused(ClickHouseError):
    """It answered with an error; the message is its own, first line."""


class ClickHouseDenied(ClickHouseRefused):
    """User, password or certificate are not what they should be, on our side or on its own."""


CONNECT_SECONDS = 3
"""A dead address must not hold a stage longer than its supervisor waits."""
ANSWER_SECONDS = 60
"""A hanging server is treated as unavailable after this; inserts carry tokens and are repeated."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

INSERT_SETTINGS: Mapping[str, Any] = {
    # Rows of old months in one insert are normal: replays, imports, late events.
    "max_partitions_per_insert_block": 0,
    # Without it a repeated insert is dropped from the table, but not from what is derived from it.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "insert_deduplicate": 1,
    # Newer servers gather inserts by default, and do not deduplicate those by token.
    "async_insert": 0,
    # To merge rows of one key while inserting made it two to four times as long. Later merges
    # do it anyway, and whoever reads must sum, or take the first of a key, in any case.
    "optimize_on_insert": 0,
}


class ClickHouse:
    """One connection; threads take turns. Blocking: asyncio code calls it in a thread.

    The certificate behind an ``https`` address is always checked: by ``ca``, a PEM file, or by the
    system's CAs.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str = "default",
        password: str = "",
        database: str = "default",
        ca: Path | None = None,
    ) -> None:
        self.url = url
        self._ca = ca
        self._user = user
        self._password = password
        self._database = database
        self._client: Client | None = None
        self._turn = threading.Lock()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a SELECT. Parameters are bound by the server: `{name:Type}`."""
        result = self._run(lambda client: client.query(sql, parameters=dict(parameters or {})))
        return [tuple(row) for row in result.result_rows]

    def query_columns(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows of any statement; a statement without a result has neither."""
        result = self._run(lambda client: client.query(sql))
        return list(result.column_names), [tuple(row) for row in result.result_rows]

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that has no result. Parameters as in `query`."""
        self._run(lambda client: client.command(sql, parameters=dict(parameters or {})))

    def download(self, sql: str, form: str, out: BinaryIO) -> None:
        """Write the rows of a SELECT, in one of ClickHouse's formats, to a file, as they come.

        An error on the way may end the file early, or stand in it: check what was written.
        """

        def copy(client: Client) -> None:
            with client.raw_stream(sql, fmt=form) as answer:
                shutil.copyfileobj(answer, out)

        self._run(copy)

    def insert(self, table: str, rows: pa.Table, *, token: str | None = None) -> None:
        """Insert rows. The same ``token`` again is dropped by the table: repeat at will."""
        settings = dict(INSERT_SETTINGS)
        if token is not None:
            settings["insert_deduplication_token"] = token
        self._run(lambda client: client.insert_arrow(table, rows, settings=settings))

    def close(self) -> None:
        """Give the connection back."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _run(self, action: Any) -> Any:
        try:
            with self._turn:
                if self._client is None:
                    self._client = self._connect()
                return action(self._client)
        except DriverError as error:
            if isinstance(error, OperationalError):
                self.close()
            reason = _reason(error)
            raise _kind(error, reason)(f"ClickHouse at {self.url}: {reason}") from error

    def _connect(self) -> Client:
        parts = urlsplit(self.url)
        host = parts.hostname or "127.0.0.1"
        return clickhouse_connect.get_client(
            host=host,
            # Within a machine the compression costs more than the bytes that it saves.
            compress=host not in LOOPBACK,
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            secure=parts.scheme == "https",
            verify=True,
            ca_cert=None if self._ca is None else str(self._ca),
            username=self._user,
            password=self._password,
            database=self._database,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=ANSWER_SECONDS,
            # A session would serialise concurrent requests of one client.
            autogenerate_session_id=False,
            client_name="spendstream",
        )


def arrow_table(schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table with this schema."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


_SYSTEM_REASON = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")
_HTTP_REASON = re.compile(r"RemoteDisconnected\('([^']+)'")
_TLS_REASON = re.compile(r"\[(?:SSL|X509)[^]]*\] (.+?) \(_ssl")
_SERVER_REASON = re.compile(r"Code: \d+\. DB::Exception: .*?(?= \(for url |$)", re.MULTILINE)

_DENIALS = frozenset({192, 193, 194, 516})
"""UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED."""
_NO_TLS = ("certificate verify failed", "it does not speak TLS")
"""Other faults of TLS come from connections that broke, and pass."""


def _kind(error: DriverError, reason: str) -> type[ClickHouseError]:
    if getattr(error, "code", None) in _DENIALS or reason.startswith(_NO_TLS):
        return ClickHouseDenied
    return ClickHouseUnavailable if isinstance(error, OperationalError) else ClickHouseRefused


def _reason(error: Exception) -> str:
    """What went wrong, in one line: the driver wraps it in its URL and its retries."""
    text = str(error).strip() or str(error.__cause__ or type(error).__name__)
    if "WRONG_VERSION_NUMBER" in text:
        return "it does not speak TLS"
    for pattern in (_SERVER_REASON, _TLS_REASON, _SYSTEM_REASON, _HTTP_REASON):
        if found := pattern.search(text):
            return found.group(found.lastindex or 0)[:500]
    return text.splitlines()[0][:500]
