"""chDB as a server's engine: one data folder, one connection per request.

A chDB connection keeps its own settings, parameters and current database and costs under two
milliseconds, so each request gets a fresh one: nothing that a request sets can leak into
another. The engine lives as long as its first connection, which is held for that purpose only.
"""

import html
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import chdb

from sinks.embedded.bodies import Body
from sinks.embedded.errors import (
    READONLY,
    SYNTAX_ERROR,
    UNKNOWN_SETTING,
    DataFolderUnusable,
    QueryError,
)
from sinks.embedded.statements import (
    MAX_HEAD_BYTES,
    InsertHead,
    insert_head,
    refuse_file_access,
    result_format,
)

# Larger pieces gain nothing; the engine makes its own blocks of them.
_PIECE_BYTES: Final = 1_048_576

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Without SOURCES no table function or table engine reaches files, URLs or other servers, and
# without SYSTEM SHUTDOWN no client can end the process. chDB reads users only from a file of
# their own, named by the first.
_CONFIG = "<clickhouse><logger><level>none</level></logger><users_config>{}</users_config></clickhouse>"
_USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>::/0</ip></networks>
<profile>default</profile><quota>default</quota><grants>
<query>GRANT SHOW, SELECT, INSERT, ALTER, CREATE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK,
 KILL QUERY, dictGet, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM FLUSH, SYSTEM VIEWS,
 SYSTEM DROP CACHE ON *.*</query>
<query>GRANT TABLE ENGINE ON *</query>
</grants></default></users></clickhouse>"""


@dataclass(frozen=True)
class Limits:
    """What bounds the endpoint's memory and threads.

    Attributes:
        threads: statements that run at the same time.
        requests: requests that run or wait; one more is answered 503.
        body_bytes: the largest body, as sent and decompressed; a larger one is answered 413.
        spool_bytes: a body is held in memory up to this size, in a temporary file above it.
        shutdown_seconds: what running requests get to finish when the endpoint stops.
    """

    threads: int = 8
    requests: int = 64
    body_bytes: int = 1 << 30
    spool_bytes: int = 8 << 20
    shutdown_seconds: float = 60.0


@dataclass(frozen=True)
class Statement:
    """One request to the engine.

    Attributes:
        query: SQL from the URL; SQL in the body follows it.
        body: more SQL, or the data of an INSERT.
        database: the current database, or empty for ``default``.
        settings: ClickHouse settings for this statement only.
        params: values of ``{name:Type}``, escaped as in TabSeparated.
        default_format: the format of a result that names none.
        readonly: ``readonly=2``, which the statement cannot leave.
        only_reads: refuse whatever does more than read, even where ``readonly=2`` allows it.
    """

    query: str
    body: Body
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    readonly: bool = False
    only_reads: bool = False


@dataclass(frozen=True)
class Answer:
    """A result in ``format`` (empty if the statement has none) and ClickHouse's summary."""

    data: bytes
    format: str
    summary: Mapping[str, str]


class Engine:
    """chDB on ``path``. Every method blocks; :meth:`execute` may run in several threads.

    Raises:
        DataFolderUnusable: if chDB does not open the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path.resolve())
        if "?" in self._path:
            raise DataFolderUnusable(path, "its name holds a '?', which chDB takes for options")
        self._folder = tempfile.TemporaryDirectory(prefix="embedded-clickhouse-")
        try:
            self._anchor = chdb.connect(f"{self._path}?config-file={self._write_config()}")
        except (RuntimeError, ValueError) as error:
            self._folder.cleanup()
            raise DataFolderUnusable(path, str(error)) from error
        try:
            self._open_default_database()
            answer = self._anchor.query("SELECT timezone(), version()", "JSONCompactEachRow")
        except chdb.ChdbError as error:
            self.close()
            raise DataFolderUnusable(path, str(error)) from error
        self.timezone, self.version = (str(value) for value in json.loads(answer.bytes()))

    def close(self) -> None:
        """Flush and release the folder. No statement may be running."""
        self._anchor.close()
        self._folder.cleanup()

    def execute(self, statement: Statement) -> Answer:
        """Run one statement on a connection of its own.

        Raises:
            QueryError: if the engine refuses or fails.
        """
        with closing(chdb.connect(self._path)) as connection:
            try:
                return self._run(connection, statement)
            except (chdb.ChdbError, RuntimeError) as error:
                raise QueryError.from_engine(error) from error

    def _write_config(self) -> Path:
        folder = Path(self._folder.name)
        config, users = folder / "config.xml", folder / "users.xml"
        users.write_text(_USERS)
        config.write_text(_CONFIG.format(html.escape(str(users))))
        return config

    def _open_default_database(self) -> None:
        """Replace chDB's ``default``, a view of the host's files, by an ordinary database."""
        self._anchor.query("DETACH DATABASE default")
        kept = Path(self._path, "metadata", "default.sql").exists()
        self._anchor.query(
            "ATTACH DATABASE default" if kept else "CREATE DATABASE default ENGINE = Atomic"
        )

    def _run(self, connection: Any, statement: Statement) -> Answer:
        _prepare(connection, statement)
        text = statement.query.encode()
        start = statement.body.read(MAX_HEAD_BYTES)
        if start:
            text = text + b"\n" + start if text else start
        insert = insert_head(text)
        if insert is not None:
            return _insert(connection, insert, text[insert.data_offset :], statement.body)
        while piece := statement.body.read(_PIECE_BYTES):
            text += piece
        return _query(connection, text, statement)


def _prepare(connection: Any, statement: Statement) -> None:
    if statement.database:
        connection.query(f"USE `{_escaped(statement.database, '`')}`")
    if statement.only_reads:
        # First, so that a request that sets `readonly` itself is refused by the engine.
        connection.query("SET readonly = 2")
    values = {f"param_{name}": value for name, value in statement.params.items()}
    values.update(statement.settings)
    for name in values:
        if not _NAME.fullmatch(name):
            raise QueryError(UNKNOWN_SETTING, f"Unknown setting '{name}'. (UNKNOWN_SETTING)")
    if values:
        pairs = (f"{name} = '{_escaped(value, chr(39))}'" for name, value in values.items())
        connection.query(f"SET {', '.join(pairs)}")
    if statement.readonly and not statement.only_reads:
        connection.query("SET readonly = 2")


def _escaped(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}")


def _query(connection: Any, text: bytes, statement: Statement) -> Answer:
    # The wrapper does not offer the engine's classifier; chdb.durable reaches it this way too.
    report = connection._conn.classify_query(text)
    if report["statement_count"] > 1:
        raise QueryError(SYNTAX_ERROR, "Multi-statements are not allowed. (SYNTAX_ERROR)")
    reads = report["query_class"].name == "READ_ONLY"
    refuse_file_access(text, lambda sql: _canonical(connection, sql))
    if statement.only_reads and not reads:
        raise QueryError(
            READONLY, "This user may only read. Cannot execute query in readonly mode. (READONLY)"
        )
    result = connection.query(text, statement.default_format)
    data: bytes = result.bytes() or b""
    return Answer(
        data=data,
        format=result_format(text, statement.default_format) if reads or data else "",
        summary={
            "read_rows": str(result.storage_rows_read()),
            "read_bytes": str(result.storage_bytes_read()),
            "written_rows": str(result.rows_written()),
            "written_bytes": str(result.bytes_written()),
            "result_rows": str(result.rows_read()),
            "result_bytes": str(len(data)),
            "elapsed_ns": str(int(result.elapsed() * 1e9)),
        },
    )


def _canonical(connection: Any, text: bytes) -> str:
    literal = _escaped(text.decode(errors="replace"), "'")
    formatted = connection.query(f"SELECT formatQuery('{literal}')", "TSVRaw").bytes()
    return str(formatted.decode(errors="replace"))


def _insert(connection: Any, insert: InsertHead, start: bytes, rest: Body) -> Answer:
    refuse_file_access(insert.statement.encode(), lambda sql: _canonical(connection, sql + b" VALUES"))
    stream = connection.send_insert(insert.statement, insert.format)
    # Leaving the block without finish(), by any error, drops what the engine has not committed.
    with stream:
        if start:
            stream.append(start)
        while piece := rest.read(_PIECE_BYTES):
            stream.append(piece)
        result = stream.finish()
    return Answer(
        data=b"",
        format="",
        summary={
            "read_rows": str(result.rows_written),
            "read_bytes": str(result.bytes_written),
            "written_rows": str(result.rows_written),
            "written_bytes": str(result.bytes_written),
            "elapsed_ns": str(int(result.elapsed * 1e9)),
        },
    )


__all__ = ["Answer", "Engine", "Limits", "Statement"]
