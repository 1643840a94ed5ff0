"""`GET /v1/quota`, as every guard answers it: from memory, by what the topic says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from schemas.errors import UserError
from schemas.quotas import QuotaAnswer
from schemas.usage import MAX_TEXT
from streams.budgets.fields import DIMENSIONS
from streams.quotas.answer import NotRead, answer
from streams.quotas.table import QuotaTable
from streams.web.openapi import Error, answered
from streams.web.refused import RETRY_SECONDS, RequestRefused
from streams.web.route import Route
from streams.web.tokens import Token


def quota_route(table: QuotaTable) -> Route:
    """The answer about one call; the table is kept up to date by others."""

    async def quota(request: web.Request, _: Token) -> web.Response:
        found = judged(table, request.query.items())
        return web.Response(text=found.model_dump_json(), content_type="application/json")

    return Route("GET", "/v1/quota", quota, "quota", _OPERATION)


def judged(table: QuotaTable, attributes: Iterable[tuple[str, str]]) -> QuotaAnswer:
    """What holds for a call. Raises RequestRefused: 400 for what is no question, 503 while the
    topic is being read."""
    try:
        return answer(table, attributes)
    except UserError as error:
        raise RequestRefused(400, "bad_question", str(error)) from None
    except NotRead:
        raise not_read() from None


def not_read() -> RequestRefused:
    """503: this process has just started."""
    return RequestRefused(
        503, "quotas_not_read", str(NotRead()), {"Retry-After": str(RETRY_SECONDS)}
    )


ERRORS: Mapping[str, Any] = {
    "400": answered("The question names no such attribute, or one twice.", Error),
    "401": answered("No token, or one that is not known.", Error, WWW_Authenticate="Bearer"),
    "403": answered("The token lacks the scope quota.", Error, WWW_Authenticate="The scope"),
    "429": answered("Too much is under way; nothing was done.", Error, Retry_After="Seconds"),
    "503": answered("The topic is still being read.", Error, Retry_After="Seconds"),
}
_OPERATION: Mapping[str, Any] = {
    "operationId": "getQuota",
    "summary": "May a call be made, and on which tier of models?",
    "parameters": [
        {
            "name": dimension,
            "in": "query",
            "description": f"At most {MAX_TEXT} bytes of UTF-8.",
            "schema": {"type": "string", "pattern": r"\S", "maxLength": MAX_TEXT},
        }
        for dimension in DIMENSIONS
    ],
    "responses": {
        "200": {
            "description": "Answered, also where the answer is no.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": list(QuotaAnswer.model_fields),
                        "properties": {"allowed": {"type": "boolean"}},
                    }
                }
            },
        },
        **ERRORS,
    },
}
