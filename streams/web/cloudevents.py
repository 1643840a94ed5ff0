"""From what was posted to the fields of usage events: bare ones and CloudEvents in three modes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from schemas.errors import InvalidEvent, Refusal
from schemas.wire import from_cloudevent
from streams.web.openmeter import usage_fields

Posted = Mapping[str, Any] | Refusal
"""The fields of one event, not checked yet; or why there are none."""

OUR_TYPE = "spendstream.usage"
VERSION = "1.0"
_HEADER = "ce-"


def posted(document: Any, received: datetime, *, enveloped: bool = False) -> Posted:
    """One JSON value that was posted. ``enveloped``: it was said to be a CloudEvent."""
    if not isinstance(document, dict):
        return Refusal("undecodable_json", "a usage event is a JSON object")
    try:
        if enveloped or "specversion" in document:
            return _inside(document, received)
    except InvalidEvent as error:
        return error.refusal
    return document


def is_binary(headers: Mapping[str, str]) -> bool:
    """True where the headers are the attributes of a CloudEvent, and the body its data."""
    return f"{_HEADER}specversion" in headers


def binary_envelope(headers: Mapping[str, str], data: Any) -> dict[str, Any]:
    """The CloudEvent of binary mode (HTTP protocol binding 1.0: values are percent-encoded)."""
    attributes = {
        name.lower().removeprefix(_HEADER): unquote(value)
        for name, value in headers.items()
        if name.lower().startswith(_HEADER)
    }
    return {**attributes, "data": data}


def _inside(envelope: Mapping[str, Any], received: datetime) -> Mapping[str, Any]:
    version = envelope.get("specversion")
    if version != VERSION:
        raise InvalidEvent(
            "bad_cloudevent", f"specversion is {str(version)[:40]!r}; CloudEvents {VERSION} is read"
        )
    data = envelope.get("data")
    if envelope.get("type") == OUR_TYPE or not isinstance(data, dict) or "usage_source" in data:
        return from_cloudevent(envelope)
    return usage_fields(envelope, received)
