"""One statement on one chDB connection: set the stage, check, run, report."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, Final

from sinks.embedded.bodies import Body
from sinks.embedded.errors import READONLY, SYNTAX_ERROR, UNKNOWN_SETTING, QueryError
from sinks.embedded.statements import (
    MAX_HEAD_BYTES,
    InsertHead,
    insert_head,
    refuse_file_access,
    result_format,
)

# Larger pieces gain nothing; the engine makes its own blocks of them.
_PIECE_BYTES: Final = 1_048_576

_MEMORY_BYTES: Final = 64 << 20

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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


Canonical = Callable[[bytes], str]


def run(connection: Any, statement: Statement, canonical: Canonical) -> Answer:
    """Run one statement.

    Args:
        connection: used for nothing else before or after.
        statement: what to run.
        canonical: formats a statement, on another connection: the settings of this one could
            empty or cut what it says.

    Raises:
        QueryError: if the statement is refused here.
        chdb.ChdbError: if the engine refuses or fails.
        RuntimeError: the same, of an INSERT with data.
    """
    _prepare(connection, statement)
    text = statement.query.encode()
    start = statement.body.read(MAX_HEAD_BYTES)
    if start:
        text = text + b"\n" + start if text else start
    insert = insert_head(text)
    if insert is not None:
        if statement.only_reads:
            raise _only_reads()
        refuse_file_access(insert.statement.encode(), lambda head: canonical(head + b" VALUES"))
        return _insert(connection, insert, text[insert.data_offset :], statement.body)
    while piece := statement.body.read(_PIECE_BYTES):
        text += piece
    if not text.strip():
        raise QueryError(SYNTAX_ERROR, "Empty query. (SYNTAX_ERROR)")
    return _query(connection, text, statement, canonical)


def _prepare(connection: Any, statement: Statement) -> None:
    if statement.database:
        connection.query(f"USE `{escaped(statement.database, '`')}`")
    if statement.only_reads:
        # First, so that a request that sets `readonly` itself is refused by the engine.
        connection.query("SET readonly = 2")
    values = {f"param_{name}": value for name, value in statement.params.items()}
    values.update(statement.settings)
    for name in values:
        if not _NAME.fullmatch(name):
            raise QueryError(UNKNOWN_SETTING, f"Unknown setting '{name}'. (UNKNOWN_SETTING)")
    if values:
        pairs = (f"{name} = '{escaped(value, chr(39))}'" for name, value in values.items())
        connection.query(f"SET {', '.join(pairs)}")
    if statement.readonly and not statement.only_reads:
        connection.query("SET readonly = 2")


def escaped(text: str, quote: str) -> str:
    """``text`` as it stands between two ``quote`` in ClickHouse SQL."""
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}")


def _only_reads() -> QueryError:
    return QueryError(
        READONLY, "This user may only read. Cannot execute query in readonly mode. (READONLY)"
    )


def _query(connection: Any, text: bytes, statement: Statement, canonical: Canonical) -> Answer:
    # The wrapper does not offer the engine's classifier; chdb.durable reaches it this way too.
    report = connection._conn.classify_query(text)
    if report["statement_count"] > 1:
        raise QueryError(SYNTAX_ERROR, "Multi-statements are not allowed. (SYNTAX_ERROR)")
    reads = report["query_class"].name == "READ_ONLY"
    refuse_file_access(text, canonical)
    if statement.only_reads and not reads:
        raise _only_reads()
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


def _insert(connection: Any, insert: InsertHead, start: bytes, rest: Body) -> Answer:
    """Insert from a file: chDB's own stream of an INSERT says that all is well when the disk is
    full, and nothing was written."""
    with _spooled(start, rest) as data:
        result = connection.query(
            f"{insert.statement} FROM INFILE '/dev/fd/{data.fileno()}' {insert.settings} "
            f"FORMAT {insert.format}"
        )
    return Answer(
        data=b"",
        format="",
        summary={
            "read_rows": str(result.rows_written()),
            "read_bytes": str(result.bytes_written()),
            "written_rows": str(result.rows_written()),
            "written_bytes": str(result.bytes_written()),
            "elapsed_ns": str(int(result.elapsed() * 1e9)),
        },
    )


def _spooled(start: bytes, rest: Body) -> IO[bytes]:
    """The data of an INSERT in a file without a name: in memory, on disk where it is large."""
    file = _memory_file()
    try:
        size = file.write(start)
        while piece := rest.read(_PIECE_BYTES):
            if size <= _MEMORY_BYTES < size + len(piece):
                file = _moved_to_disk(file)
            size += file.write(piece)
        file.flush()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _memory_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("insert"), "w+b")
    return _disk_file()


def _disk_file() -> IO[bytes]:
    return TemporaryFile()


def _moved_to_disk(small: IO[bytes]) -> IO[bytes]:
    large = _disk_file()
    with small:
        small.seek(0)
        copyfileobj(small, large)
    return large
