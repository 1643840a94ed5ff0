"""`POST /v1/events`, and the same under the path that OpenMeter's clients post to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from schemas.errors import InvalidEvent
from schemas.wire import json_document
from streams.web.body import MAX_EVENTS, read_body
from streams.web.cloudevents import Posted, binary_envelope, is_binary, posted
from streams.web.ingest import Ingest, Result
from streams.web.openapi import EVENTS_OPERATION, OPENMETER_OPERATION
from streams.web.refused import RequestRefused
from streams.web.route import Route
from streams.web.tokens import Token

JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"
KEY_HEADER = "Idempotency-Key"


def event_routes(ingest: Ingest) -> list[Route]:
    """Both paths."""

    async def events(request: web.Request, token: Token) -> web.Response:
        return answer(await _taken(request, token))

    async def openmeter(request: web.Request, token: Token) -> web.Response:
        results = await _taken(request, token)
        if any(result.refusal for result in results):
            return answer(results)
        return web.Response(status=204)

    async def _taken(request: web.Request, token: Token) -> list[Result]:
        return await ingest.ingest(await _posted(request, ingest), token)

    return [
        Route("POST", "/v1/events", events, "events", EVENTS_OPERATION),
        Route("POST", "/api/v1/events", openmeter, "events", OPENMETER_OPERATION),
    ]


def answer(results: Sequence[Result]) -> web.Response:
    """202 where all events were accepted, 422 where none was, 207 between."""
    accepted = Counter(result.refusal is None for result in results)[True]
    status = 202 if accepted == len(results) else 207 if accepted else 422
    body = {"accepted": accepted, "results": [result.as_json() for result in results]}
    return web.json_response(body, status=status)


async def _posted(request: web.Request, ingest: Ingest) -> list[Posted]:
    """The events of a request. Raises RequestRefused where the whole of it cannot be read."""
    media = _media_type(request)
    body = await read_body(request)
    try:
        document = json_document(body)
    except InvalidEvent as error:
        raise _unreadable(error.refusal.detail) from None
    received = ingest.clock()
    if is_binary(request.headers):
        envelope = binary_envelope(request.headers, document)
        events = [posted(envelope, received, enveloped=True)]
    else:
        listed = _listed(document, media)
        events = [posted(each, received, enveloped=media != JSON) for each in listed]
    return _with_ids(events, request.headers.get(KEY_HEADER, "").strip())


def _media_type(request: web.Request) -> str:
    media = request.content_type if "Content-Type" in request.headers else ""
    known = ("", JSON) if is_binary(request.headers) else (JSON, CLOUDEVENT, CLOUDEVENTS)
    if media not in known:
        right = " or ".join(name for name in known if name)
        raise RequestRefused(
            415, "unsupported_media_type", f"content-type {media[:80]!r}: {right} would be right"
        )
    return media


def _listed(document: Any, media: str) -> list[Any]:
    if isinstance(document, list):
        if media == CLOUDEVENT:
            raise _unreadable(f"the body is a list; send it as {CLOUDEVENTS}")
        if not document:
            raise _unreadable("the list is empty; send at least one event")
        if len(document) > MAX_EVENTS:
            raise RequestRefused(
                413,
                "too_many_events",
                f"the list has {len(document):,} events; send at most {MAX_EVENTS:,} at once",
            )
        return document
    if media == CLOUDEVENTS:
        raise _unreadable("the body is no list, which a batch of CloudEvents is")
    if not isinstance(document, dict):
        raise _unreadable("the body is neither an event (a JSON object) nor a list of them")
    return [document]


def _with_ids(events: list[Posted], key: str) -> list[Posted]:
    """Events without an id get one that a repeat of the request gives them again."""
    if not key:
        return events
    return [
        {**event, "event_id": f"{key}-{index}"}
        if isinstance(event, dict) and event.get("event_id") is None
        else event
        for index, event in enumerate(events)
    ]


def _unreadable(why: str) -> RequestRefused:
    return RequestRefused(400, "unreadable_body", why)
