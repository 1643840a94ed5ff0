"""External authorization as Envoy asks for it over HTTP (`ext_authz`, `http_service`).

Envoy sends each call's method and path behind a prefix of ours, with the headers that it is told
to; 200 lets the call through, anything else is the caller's answer, as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from aiohttp import web

from schemas.quotas import BudgetShare, QuotaAnswer
from streams.quotas.table import QuotaTable
from streams.web.quota import judged
from streams.web.route import Route
from streams.web.tokens import Token

HEADER = "x-spendstream-"
"""Before the name of an attribute, with `-` for `_`: `x-spendstream-use-case`."""
LONGEST_RETRY = timedelta(hours=1)
"""For `Retry-After`: a month's end is far, and until then somebody may raise the limit."""


def authz_route(table: QuotaTable) -> Route:
    """Any method, any path behind `/v1/authz`."""

    async def authorize(request: web.Request, _: Token) -> web.Response:
        answer = judged(table, _attributes(request))
        refusing = next((share for share in answer.budgets if not share.allowed), None)
        return _through(answer) if refusing is None else _refused(refusing, datetime.now(UTC))

    return Route("*", "/v1/authz{call:(/.*)?}", authorize, "quota")


def _attributes(request: web.Request) -> Iterator[tuple[str, str]]:
    for name, value in request.headers.items():
        if name.lower().startswith(HEADER):
            yield name.lower().removeprefix(HEADER).replace("-", "_"), value


def _through(answer: QuotaAnswer) -> web.Response:
    said = answer.model_dump(mode="json", include={"degrade_to", "remaining", "unit"})
    headers = {
        f"{HEADER}{name.replace('_', '-')}": value
        for name, value in said.items()
        if value is not None
    }
    return web.Response(headers=headers)


def _refused(share: BudgetShare, now: datetime) -> web.Response:
    """In the words of OpenAI's errors, which the callers' clients understand."""
    end = share.period_end
    wait = LONGEST_RETRY if end is None else min(LONGEST_RETRY, end - now)
    error = {
        "message": share.reason,
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
        "budget": share.budget,
        "resets_at": None if end is None else end.isoformat().replace("+00:00", "Z"),
    }
    headers = {
        "Retry-After": str(max(1, math.ceil(wait.total_seconds()))),
        # Else OpenAI's and Anthropic's clients ask again at once, and again.
        "x-should-retry": "false",
    }
    return web.json_response({"error": error}, status=429, headers=headers)
