"""OpenMeter's events of model usage as usage events of ours.

OpenMeter leaves the data of its CloudEvents to whoever sends them. Two shapes are read: that of its
documentation (`tokens` of one `type`, two events per call), and the one with OpenAI's names
(`prompt_tokens`, `completion_tokens`), which LiteLLM's OpenMeter callback sends. docs/http.md has
the table. What stands in neither place is refused rather than guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.errors import InvalidEvent

BUCKET_OF_TYPE = {"input": "input_tokens", "system": "input_tokens", "output": "output_tokens"}
"""OpenMeter's `data.type` → the bucket that `data.tokens` are in."""
OPENAI_NAMES = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
}
SAME_NAMES = (
    *("provider", "model", "region", "department", "team", "project", "use_case", "application"),
    *("environment", "user", "customer", "workflow", "request_id"),
)
"""Keys of `data` that mean what the field of that name means. All other keys become tags."""


def usage_fields(envelope: Mapping[str, Any], received: datetime) -> dict[str, Any]:
    """Fields of a usage event, not checked yet.

    ``received`` serves where the event has no time, as OpenMeter itself does it. Raises
    InvalidEvent where tokens cannot be told.
    """
    data = envelope.get("data")
    if not isinstance(data, Mapping):
        raise InvalidEvent("bad_cloudevent", "data of the CloudEvent is not an object")
    rest = dict(data)
    fields: dict[str, Any] = {
        "occurred_at": envelope.get("time") or received,
        "usage_source": "reported",
        **_tokens(rest),
        **{name: rest.pop(name) for name in SAME_NAMES if name in rest},
    }
    fields |= _identity(envelope)
    for name, attribute in (("customer", "subject"), ("application", "source")):
        if fields.get(name) is None and envelope.get(attribute) is not None:
            fields[name] = envelope[attribute]
    if rest:
        fields["tags"] = {key: _text(value) for key, value in rest.items()}
    return fields


def _identity(envelope: Mapping[str, Any]) -> dict[str, str]:
    """CloudEvents are told apart by source and id together; without an id there is none."""
    source, own = envelope.get("source"), envelope.get("id")
    if not isinstance(source, str) or not source:
        raise InvalidEvent("bad_cloudevent", "source of the CloudEvent is missing")
    if own is None:
        return {}
    if not isinstance(own, str) or not own:
        raise InvalidEvent("bad_cloudevent", "id of the CloudEvent is no text")
    return {"event_id": f"{source}/{own}"}


def _tokens(rest: dict[str, Any]) -> dict[str, int]:
    """Takes what it reads out of ``rest``."""
    plain = {ours: rest.pop(name) for name, ours in OPENAI_NAMES.items() if name in rest}
    if "tokens" not in rest:
        if not plain:
            raise InvalidEvent(
                "missing_field",
                "data: has neither usage_source (a usage event of docs/events.md) nor tokens with "
                "type, nor prompt_tokens and completion_tokens (OpenMeter)",
            )
        return {name: _count(name, value) for name, value in plain.items()}
    if plain:
        raise InvalidEvent(
            "invalid_field", "data: has tokens, and prompt_tokens or the like beside it; send one"
        )
    side = rest.pop("type", None)
    if not isinstance(side, str) or side not in BUCKET_OF_TYPE:
        raise InvalidEvent(
            "missing_field" if side is None else "invalid_field",
            f"data.type: is {_text(side)[:80]!r}; input, output or system says what the tokens are",
        )
    return {BUCKET_OF_TYPE[side]: _count("tokens", rest.pop("tokens"))}


def _count(name: str, value: Any) -> int:
    """OpenMeter takes numbers as text too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    raise InvalidEvent(
        "invalid_field", f"data.{name}: is {_text(value)[:80]}; a whole number was expected"
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
