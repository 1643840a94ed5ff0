"""The OpenAPI 3.1 document, of the models that judge events and the routes that are mounted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from schemas.outcome import OutcomeEvent
from schemas.usage import UsageEvent
from streams.web.body import MAX_EVENTS
from streams.web.route import Route

Json = dict[str, Any]
_SCHEMAS = "#/components/schemas/"


class CloudEvent(BaseModel):
    """A CloudEvent 1.0. Data with `usage_source` are a UsageEvent, for which `id` and `time` serve
    as event_id and occurred_at where it leaves them out; other data are read as OpenMeter's."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    data: dict[str, Any]


class EventResult(BaseModel):
    """What became of one event. `code` and `error` say why it was refused."""

    model_config = ConfigDict(extra="forbid")

    id: str | None
    status: Literal["accepted", "refused"]
    code: str = ""
    error: str = ""


class Outcome(BaseModel):
    """How many events Kafka has, and a result for each, in the order of the request."""

    model_config = ConfigDict(extra="forbid")

    accepted: Annotated[int, Field(ge=0)]
    results: list[EventResult]


class Error(BaseModel):
    """Why nothing was done: one line, and a code that stays."""

    model_config = ConfigDict(extra="forbid")

    error: str
    code: str


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": f"{_SCHEMAS}{model.__name__}"}


def _some(items: Json) -> Json:
    # No maxItems: a list that is too long is no wrong content (400, 422) but too much of it (413).
    return {"type": "array", "items": items, "minItems": 1}


def answered(description: str, model: type[BaseModel], **headers: str) -> Json:
    """A response object of a JSON body, with headers that are always there."""
    response: Json = {
        "description": description,
        "content": {"application/json": {"schema": _ref(model)}},
    }
    if headers:
        response["headers"] = {
            name.replace("_", "-"): {
                "description": what,
                "required": True,
                "schema": {"type": "string"},
            }
            for name, what in headers.items()
        }
    return response


REFUSALS: Mapping[str, Json] = {
    "400": answered("The body cannot be read.", Error),
    "401": answered("No token, or one that is not known.", Error, WWW_Authenticate="Bearer"),
    "403": answered("The token lacks the scope.", Error, WWW_Authenticate="The scope"),
    "408": answered("The body did not arrive in time.", Error),
    "413": answered("The body is too large, or holds too many events.", Error),
    "415": answered("The content type or encoding is not read here.", Error),
    "429": answered("Too much is under way; nothing was done.", Error, Retry_After="Seconds"),
    "503": answered(
        "Kafka did not acknowledge in time; send all again, with the same ids.",
        Error,
        Retry_After="Seconds",
    ),
}
"""What any route that takes events may answer besides its own."""

_OUTCOMES: Mapping[str, Json] = {
    "207": answered("Some events were refused, the others are in Kafka.", Outcome),
    "422": answered("Every event was refused.", Outcome),
}
_BINARY: list[Json] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Events without an id get `<key>-<index>`.",
        "schema": {"type": "string", "maxLength": 200},
    }
]


def _body(*, bare: bool) -> Json:
    bare_event, cloud = _ref(UsageEvent), _ref(CloudEvent)
    either = {"anyOf": [bare_event, cloud]} if bare else cloud
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [either, _some(either)]}},
            "application/cloudevents+json": {"schema": cloud},
            "application/cloudevents-batch+json": {"schema": _some(cloud)},
        },
    }


EVENTS_OPERATION: Json = {
    "operationId": "postEvents",
    "summary": "Send usage events",
    "description": f"One event or up to {MAX_EVENTS:,}. Answered once Kafka has the accepted ones.",
    "parameters": _BINARY,
    "requestBody": _body(bare=True),
    "responses": {"202": answered("Kafka has every event.", Outcome), **_OUTCOMES, **REFUSALS},
}
OPENMETER_OPERATION: Json = {
    "operationId": "postOpenMeterEvents",
    "summary": "The same, as OpenMeter's clients expect it",
    "parameters": _BINARY,
    "requestBody": _body(bare=False),
    "responses": {"204": {"description": "Kafka has every event."}, **_OUTCOMES, **REFUSALS},
}

_OUTCOME = _ref(OutcomeEvent)
OUTCOMES_OPERATION: Json = {
    "operationId": "postOutcomes",
    "summary": "Send outcomes of calls and workflows",
    "description": f"One outcome or up to {MAX_EVENTS:,}. Answered once Kafka has the good ones.",
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"anyOf": [_OUTCOME, _some(_OUTCOME)]}}},
    },
    "responses": {"202": answered("Kafka has every outcome.", Outcome), **_OUTCOMES, **REFUSALS},
}


def document(routes: Iterable[Route], version: str, *, with_tokens: bool) -> Json:
    """The document. ``with_tokens``: whether one is demanded."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in (UsageEvent, OutcomeEvent, CloudEvent, Outcome, Error)],
        ref_template=f"{_SCHEMAS}{{model}}",
    )
    paths: dict[str, Json] = {}
    for route in routes:
        if not route.operation:
            continue
        operation = dict(route.operation)
        if with_tokens and route.scope is not None:
            operation["security"] = [{"bearer": []}]
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "spendstream",
            "version": version,
            "description": "Usage of language models, by HTTP.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
