"""What people ask of the guard over HTTP: to take an alert on, to silence what is known."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.alerts import Rule, Silence
from schemas.errors import UserError
from streams.alerts.alerting_file import duration
from streams.guard.guard import Guard
from streams.guard.views import Answer

B = TypeVar("B", bound=BaseModel)

Text = Annotated[str, Field(min_length=1, max_length=256)]


class Acknowledgement(BaseModel):
    """Somebody takes an alert on."""

    model_config = ConfigDict(extra="forbid")

    alert_id: Text
    by: Text


class SilenceRequest(BaseModel):
    """Nobody is told of what matches, ``for`` so long (`90m`, `2h`)."""

    model_config = ConfigDict(extra="forbid")

    rule: Rule | None = None
    scope: dict[str, Text] = Field(default_factory=dict)
    length: Annotated[str, Field(alias="for")]
    by: Text
    why: str = ""


async def acknowledge(guard: Guard, body: bytes) -> Answer:
    """The transition that was published; 409 where there is nothing to take on."""
    asked = _read(Acknowledgement, body)
    try:
        alert = await guard.desk.acknowledge(asked.alert_id, asked.by)
    except UserError as error:
        return 409, {"error": str(error)}
    return 202, {"id": alert.alert_id, **alert.model_dump(mode="json")}


async def silence(guard: Guard, body: bytes) -> Answer:
    """The silence that was made."""
    asked = _read(SilenceRequest, body)
    now = datetime.now(UTC)
    made = Silence(
        silence=secrets.token_hex(4),
        rule=asked.rule,
        scope=asked.scope,
        until=now + duration(asked.length, "for"),
        by=asked.by,
        why=asked.why,
        at=now,
    )
    await guard.publish(made)
    return 202, made.model_dump(mode="json")


async def answer(
    guard: Guard,
    request: Callable[[Guard, bytes], Awaitable[Answer]],
    content_type: str,
    body: bytes,
) -> Answer:
    """Answer a POST: 400 for a body that says something wrong, 503 from a guard on standby."""
    # Another type could be sent by any page that a browser on this machine shows.
    if content_type != "application/json":
        return 415, {"error": f"content-type {content_type}: application/json would be right"}
    if not guard.ready:
        return 503, {"error": "this guard is on standby; ask the active one, or use the commands"}
    try:
        return await request(guard, body)
    except UserError as error:
        return 400, {"error": str(error)}


def _read(model: type[B], body: bytes) -> B:
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "body"
        fields = ", ".join(field.alias or name for name, field in model.model_fields.items())
        raise UserError(f"{place}: {first['msg']}; known fields are {fields}") from None
    except (ValueError, RecursionError):
        raise UserError('body: is no JSON; {"by": "ada", …} would be right') from None


REQUESTS: Mapping[str, Callable[[Guard, bytes], Awaitable[Answer]]] = {
    "/v1/acknowledgements": acknowledge,
    "/v1/silences": silence,
}
