"""`POST /v1/outcomes`: what became of calls and workflows, judged one by one, into Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from schemas.errors import InvalidEvent
from schemas.outcome import (
    OutcomeEvent,
    checked_outcome,
    encode_outcome,
    not_of_the_future,
)
from schemas.topics import OUTCOMES
from schemas.usage import ATTRIBUTION
from schemas.wire import json_document
from streams.web.body import MAX_EVENTS, read_body
from streams.web.events import JSON, answer
from streams.web.ingest import FORBIDDEN_TEAM, Result
from streams.web.openapi import OUTCOMES_OPERATION
from streams.web.publisher import Publisher
from streams.web.refused import RequestRefused
from streams.web.route import Route
from streams.web.tokens import Token


def _now() -> datetime:
    return datetime.now(UTC)


def outcome_routes(publisher: Publisher, clock: Callable[[], datetime] = _now) -> list[Route]:
    """The one path. ``clock`` is the server's, UTC."""

    async def outcomes(request: web.Request, token: Token) -> web.Response:
        publisher.check()
        results: list[Result] = []
        good: list[tuple[str, bytes]] = []
        for fields in await _posted(request):
            try:
                outcome = judged(fields, token, clock())
                value = encode_outcome(outcome)
            except InvalidEvent as error:
                results.append(Result(_id_of(fields), error.refusal))
            else:
                results.append(Result(outcome.outcome_id))
                good.append((outcome.key, value))
        await publisher.append(OUTCOMES, good)
        return answer(results)

    return [Route("POST", "/v1/outcomes", outcomes, "outcomes", OUTCOMES_OPERATION)]


def judged(fields: Any, token: Token, now: datetime) -> OutcomeEvent:
    """The outcome, with what the token sets where it is left out. Raises InvalidEvent.

    A token that may not write for every team has to name one, so that nobody's calls are judged
    but those of its teams: readers count an outcome with a team for calls of that team only.
    """
    if isinstance(fields, Mapping):
        defaults = {n: v for n, v in token.fields().items() if n in ATTRIBUTION}
        left_out = {name: v for name, v in defaults.items() if fields.get(name) is None}
        if fields.get("of") is not None:  # a call that it judges; its workflow is the call's own
            left_out.pop("workflow", None)
        fields = {**fields, **left_out}
    outcome = checked_outcome(fields)
    not_of_the_future(outcome, now)
    if outcome.team is None and "*" not in token.teams:
        raise InvalidEvent(
            FORBIDDEN_TEAM,
            f"team: is required of token {token.name}: one of {', '.join(token.teams)}",
        )
    if outcome.team is not None and not token.may_write_for(outcome.team):
        raise InvalidEvent(
            FORBIDDEN_TEAM,
            f"team: token {token.name} may not write for {outcome.team[:80]!r}; it may for "
            f"{', '.join(token.teams)}",
        )
    return outcome


async def _posted(request: web.Request) -> Sequence[Any]:
    """The outcomes of a request. Raises RequestRefused where the whole of it cannot be read."""
    media = request.content_type if "Content-Type" in request.headers else ""
    if media != JSON:
        raise RequestRefused(
            415, "unsupported_media_type", f"content-type {media[:80]!r}: {JSON} would be right"
        )
    try:
        document = json_document(await read_body(request))
    except InvalidEvent as error:
        raise _unreadable(error.refusal.detail) from None
    if isinstance(document, dict):
        return [document]
    if not isinstance(document, list) or not document:
        raise _unreadable("the body is neither an outcome (a JSON object) nor a list of some")
    if len(document) > MAX_EVENTS:
        raise RequestRefused(
            413,
            "too_many_events",
            f"the list has {len(document):,} outcomes; send at most {MAX_EVENTS:,} at once",
        )
    return document


def _id_of(fields: Any) -> str | None:
    """The id of an outcome that was refused, where it has one that can be told."""
    found = fields.get("outcome_id") if isinstance(fields, Mapping) else None
    return found if isinstance(found, str) else None


def _unreadable(why: str) -> RequestRefused:
    return RequestRefused(400, "unreadable_body", why)
