"""Events that were sent to OpenMeter: CloudEvents, bare or as OpenMeter lists them.

They are read as `POST /v1/events` reads them, and get the same ids: what came by HTTP before is
known. An event without a time is not read, as nobody can say any more when it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from schemas.wire import from_cloudevent
from streams.imports.source import Fields, Source
from streams.imports.values import mapping, missing
from streams.web.openmeter import usage_fields

NAME = "openmeter"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def _envelope(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """OpenMeter lists an event beside when it was ingested and what was wrong with it."""
    inner = document.get("event")
    return inner if isinstance(inner, Mapping) else document


def _own(document: Mapping[str, Any]) -> bool:
    envelope = _envelope(document)
    return "specversion" in envelope or envelope.keys() >= {"id", "source", "type", "data"}


def _rows(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield _envelope(document)


def event(row: Mapping[str, Any]) -> list[Fields]:
    """The event of one CloudEvent. Raises InvalidEvent."""
    if not row.get("time"):
        raise missing("time", "time: is not there; an import cannot say when the event came")
    if not row.get("id"):
        raise missing("id", "id: is not there; it is what tells an event from another")
    plain = {**row, "data": _plain(mapping(row, "data"))}
    if "usage_source" in plain["data"]:
        return [dict(from_cloudevent(plain))]
    return [usage_fields(plain, _NEVER)]


def _plain(value: Any) -> Any:
    """Decimals as text, which is what their fields and tags are."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Decimal) else value


OPENMETER = Source(
    name=NAME,
    noun="OpenMeter's events (CloudEvents)",
    own=_own,
    rows=_rows,
    events=event,
    attributes=("subject", "source", "type", "data.*"),
)
