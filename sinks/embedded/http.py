"""ClickHouse's HTTP interface, as an aiohttp application over the engine.

See https://clickhouse.com/docs/interfaces/http for what the parameters and headers mean.
"""

import asyncio
import json
import tempfile
import uuid
from concurrent.futures import Executor
from typing import IO, Final

from aiohttp import web

from sinks.embedded.bodies import Body, accepted_encoding, compressed, too_large
from sinks.embedded.engine import Engine, Limits
from sinks.embedded.errors import (
    NETWORK_ERROR,
    NOT_IMPLEMENTED,
    TOO_MANY_SIMULTANEOUS_QUERIES,
    QueryError,
)
from sinks.embedded.execution import Answer, Statement
from sinks.embedded.users import User, authenticate

# Parameters of the interface; every other one is a setting. Those that are accepted without
# effect ask for what this endpoint does anyway (a result is complete before it is sent), or for
# a session, of which no state is kept.
_TRANSPORT: Final = frozenset(
    {
        "query", "query_id", "database", "default_format", "user", "password",
        "buffer_size", "wait_end_of_query", "client_protocol_version", "quota_key",
        "session_id", "session_timeout", "session_check", "close_session", "stacktrace",
    }
)  # fmt: skip

# Parameters that would change what the bytes mean: to ignore them would be to answer wrongly.
_REFUSED: Final = frozenset({"compress", "decompress", "role"})

_CONTENT_TYPES: Final = {
    "": "text/plain; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
}

_RECEIVE_BYTES: Final = 65_536


def create_endpoint(
    engine: Engine, threads: Executor, users: tuple[User, ...], limits: Limits
) -> web.Application:
    """The application; statements run on ``threads``, which the caller closes after it."""
    endpoint = _Endpoint(engine, threads, users, limits)
    # aiohttp applies its own limit to forms only.
    application = web.Application(client_max_size=limits.body_bytes)
    application.router.add_get("/ping", endpoint.ping)
    application.router.add_get("/", endpoint.answer)
    application.router.add_post("/", endpoint.answer)
    return application


class _Endpoint:
    def __init__(
        self, engine: Engine, threads: Executor, users: tuple[User, ...], limits: Limits
    ) -> None:
        self._engine = engine
        self._threads = threads
        self._users = users
        self._limits = limits
        self._requests = 0

    async def ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def answer(self, request: web.Request) -> web.Response:
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        headers = {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Server-Display-Name": "embedded",
            "X-ClickHouse-Timezone": request.query.get("session_timezone", self._engine.timezone),
        }
        self._requests += 1
        try:
            return await self._answer(request, headers)
        except QueryError as error:
            return self._failed(error, headers)
        except web.HTTPRequestEntityTooLarge:
            return self._failed(too_large(self._limits.body_bytes), headers)
        except ConnectionResetError:
            # Nobody reads this answer; it only ends the request without a traceback in the log.
            return self._failed(
                QueryError(NETWORK_ERROR, "The client left. (NETWORK_ERROR)"), headers
            )
        finally:
            self._requests -= 1

    def _failed(self, error: QueryError, headers: dict[str, str]) -> web.Response:
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        text = str(error)
        if "(version " not in text:
            text = f"{text} (version {self._engine.version})"
        return web.Response(status=error.status, text=f"{text}\n", headers=headers)

    async def _answer(self, request: web.Request, headers: dict[str, str]) -> web.Response:
        user = authenticate(self._users, request.headers, request.query)
        if self._requests > self._limits.requests:
            raise QueryError(
                TOO_MANY_SIMULTANEOUS_QUERIES,
                f"Too many simultaneous queries: at most {self._limits.requests} run or wait. "
                "(TOO_MANY_SIMULTANEOUS_QUERIES)",
            )
        params = dict(request.query)
        with tempfile.SpooledTemporaryFile(self._limits.spool_bytes) as spool:
            if request.content_type == "multipart/form-data":
                params.update(await _form(request))
            else:
                await self._receive(request, spool)
            spool.seek(0)
            encoding = ""
            if params.get("enable_http_compression") in ("1", "true"):
                encoding = accepted_encoding(request.headers.get("Accept-Encoding", ""))
            body = Body(spool, request.headers.get("Content-Encoding", ""), self._limits.body_bytes)
            answer, data = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._execute, _statement(request, params, user, body), encoding
            )
        headers["X-ClickHouse-Summary"] = json.dumps(dict(answer.summary))
        headers["Content-Type"] = _CONTENT_TYPES.get(answer.format, "application/octet-stream")
        if answer.format:
            headers["X-ClickHouse-Format"] = answer.format
        if encoding and data:
            headers["Content-Encoding"] = encoding
        return web.Response(body=data, headers=headers)

    async def _receive(self, request: web.Request, spool: IO[bytes]) -> None:
        limit = self._limits.body_bytes
        if (request.content_length or 0) > limit:
            raise too_large(limit)
        received = 0
        async for piece in request.content.iter_chunked(_RECEIVE_BYTES):
            received += len(piece)
            if received > limit:
                raise too_large(limit)
            spool.write(piece)

    def _execute(self, statement: Statement, encoding: str) -> tuple[Answer, bytes]:
        answer = self._engine.execute(statement)
        return answer, compressed(answer.data, encoding) if answer.data else b""


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form, which clients use for parameters too long for a URL."""
    fields: dict[str, str] = {}
    for name, value in (await request.post()).items():
        if not isinstance(value, str):
            raise QueryError(
                NOT_IMPLEMENTED, f"External data ({name}) is not supported. (NOT_IMPLEMENTED)"
            )
        fields[name] = value
    return fields


def _statement(request: web.Request, params: dict[str, str], user: User, body: Body) -> Statement:
    for name in _REFUSED & params.keys():
        if params.pop(name) not in ("0", "false"):
            raise QueryError(NOT_IMPLEMENTED, f"'{name}' is not supported. (NOT_IMPLEMENTED)")
    bound = {name for name in params if name.startswith("param_")}
    settings = {n: v for n, v in params.items() if n not in _TRANSPORT and n not in bound}
    return Statement(
        query=params.get("query", ""),
        body=body,
        database=params.get("database") or request.headers.get("X-ClickHouse-Database") or "",
        settings=settings,
        params={name.removeprefix("param_"): params[name] for name in bound},
        default_format=(
            params.get("default_format")
            or request.headers.get("X-ClickHouse-Format")
            or "TabSeparated"
        ),
        # As in ClickHouse: a GET may not change data, unless it asks for less than that itself.
        readonly=request.method != "POST" and settings.get("readonly") not in ("1", "2"),
        only_reads=user.readonly,
    )
