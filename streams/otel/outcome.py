"""How a call ended: the status and error code of a usage event, by span status and `error.type`."""

from __future__ import annotations

import re

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from schemas import usage
from streams.otel.attributes import Attributes

_KINDS: tuple[tuple[usage.Status, re.Pattern[str]], ...] = (
    (
        "rate_limited",
        re.compile(r"\b429\b|rate_?limit|too_?many_?requests|throttl|resource_?exhausted", re.I),
    ),
    ("timeout", re.compile(r"\b(408|504)\b|time_?d?_?out|deadline_?exceeded", re.I)),
    ("cancelled", re.compile(r"cancel|abort", re.I)),
)


def outcome(span: Span, attributes: Attributes) -> tuple[usage.Status, str | None]:
    """Status, and the error's type where there is one.

    By the conventions a call that worked leaves the span's status unset, and one that failed names
    a low-cardinality `error.type`. The words of an error are not kept: they may quote the prompt.
    """
    http = _failed_http(attributes.text("http.response.status_code"))
    error = attributes.text("error.type")
    if span.status.code != Status.STATUS_CODE_ERROR and error is None and http is None:
        return "ok", None
    code = error or _exception(span) or http
    said = " ".join(part for part in (code, http) if part)
    for status, pattern in _KINDS:
        if pattern.search(said):
            return status, code
    return "error", code


def _failed_http(code: str | None) -> str | None:
    return code if code is not None and re.fullmatch("[45][0-9]{2}", code) else None


def _exception(span: Span) -> str | None:
    """The class of the last exception that was recorded on the span."""
    for event in reversed(span.events):
        if event.name == "exception" and (
            name := Attributes(event.attributes).text("exception.type")
        ):
            return name
    return None
