"""`LiteLLM_SpendLogs` from LiteLLM's own database, read-only, page by page in order of time.

Each page begins after the last row of the one before, by the index on the time: no page is dearer
than the first, and no transaction stays open. Numbers come as JSON, so that `spend` is the shortest
decimal that the column stands for, and never a float here. Prompts and answers are not asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from schemas.errors import SpendstreamError, UserError
from streams.imports.documents import Document
from streams.imports.litellm import COLUMNS
from streams.imports.values import from_json

SCHEMES = ("postgresql", "postgres")
TABLE = "LiteLLM_SpendLogs"
PAGE = 2000
CONNECT_SECONDS = 10.0
_PRISMA = frozenset(
    {
        *("schema", "connection_limit", "pool_timeout", "pgbouncer", "connect_timeout"),
        *("socket_timeout", "statement_cache_size"),
    }
)
"""Parameters of a DATABASE_URL that Prisma reads itself, and PostgreSQL does not know."""
_BEFORE_ALL = "-infinity"


class DatabaseFailed(SpendstreamError):
    """The database did not do what it was asked."""


def is_url(place: str) -> bool:
    """Whether it names a database rather than a file."""
    return urlsplit(place).scheme in SCHEMES


def shown_url(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


async def spend_logs(url: str) -> AsyncIterator[list[Document]]:
    """Pages of rows; their line is their number. Raises UserError and DatabaseFailed."""
    driver = _driver()
    address, schema = _without_prisma(url)
    name = shown_url(url)
    try:
        connection = await driver.connect(
            address,
            timeout=CONNECT_SECONDS,
            statement_cache_size=0,  # PgBouncer hands statements to other connections
            server_settings={"default_transaction_read_only": "on", "timezone": "UTC"},
        )
    except (
        OSError,
        TimeoutError,
        ValueError,
        driver.PostgresError,
        driver.InterfaceError,
    ) as error:
        raise UserError(
            f"{name}: {_reason(error)}; is the address of the database right?"
        ) from None
    try:
        query = await _query(connection, schema, name)
        after: tuple[str, str] = (_BEFORE_ALL, "")
        number = 0
        while rows := await connection.fetch(query, *after, PAGE):
            page = []
            for row in rows:
                number += 1
                page.append(Document(number, from_json(row["row"])))
            last = page[-1].content
            after = (last["startTime"], last["request_id"])
            yield page
    except (OSError, driver.PostgresError, driver.InterfaceError) as error:
        raise DatabaseFailed(f"{name}: {_reason(error)}") from error
    finally:
        await connection.close()


def _driver() -> Any:
    try:
        import asyncpg
    except ImportError as error:
        raise UserError("reading a database needs asyncpg: pip install asyncpg") from error
    return asyncpg


async def _query(connection: Any, schema: str | None, name: str) -> str:
    """The statement of a page: columns that this version of LiteLLM has, and that are read here."""
    rows = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 "
        "AND table_schema = coalesce($2, current_schema())",
        TABLE,
        schema,
    )
    there = {row["column_name"] for row in rows}
    if not there >= {"request_id", "startTime"}:
        where = schema or "the default schema"
        raise UserError(f"{name}: {where} has no table {TABLE}; name it as …?schema=NAME")
    columns = ", ".join(f'"{column}"' for column in COLUMNS if column in there)
    table = f'"{schema}"."{TABLE}"' if schema else f'"{TABLE}"'
    return (
        f"SELECT to_jsonb(page)::text AS row FROM (SELECT {columns} FROM {table} "
        'WHERE ("startTime", request_id) > ($1::text::timestamp, $2::text) '
        'ORDER BY "startTime", request_id LIMIT $3) AS page'
    )


def _without_prisma(url: str) -> tuple[str, str | None]:
    """The address as the driver takes it, and the schema that it names. Raises UserError."""
    parts = urlsplit(url)
    asked = parse_qsl(parts.query)
    schema = next((value for key, value in asked if key == "schema"), None)
    if schema and '"' in schema:
        raise UserError(f"{shown_url(url)}: schema has a quotation mark in it; give its plain name")
    rest = urlencode([(key, value) for key, value in asked if key not in _PRISMA])
    return urlunsplit(parts._replace(query=rest)), schema


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
