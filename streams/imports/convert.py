"""A row into events that the meter will take, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from schemas.errors import InvalidEvent
from schemas.tokens import BUCKET_NAMES
from schemas.usage import FUTURE_LIMIT, UsageEvent, checked
from schemas.wire import encode, framing_of, no_registry
from streams.imports.attribution import Attribution
from streams.imports.buckets import START, check_over
from streams.imports.source import Source

Figures = tuple[tuple[int | None, ...], Decimal | None]
"""What an event counts: its buckets, and what the source says that it cost (USD)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event that is valid, and its record value."""

    event: UsageEvent
    value: bytes


@dataclass(frozen=True, slots=True)
class Converter:
    """Reads the rows of one source. ``taken``: when the export was made at the latest, UTC."""

    source: Source
    attribution: Attribution
    taken: datetime

    def events(self, row: Mapping[str, Any]) -> list[Encoded]:
        """The row's events. Raises InvalidEvent, and Passed where the row is no usage (yet)."""
        if START in row:
            check_over(row, self.taken)
        return [self._encoded(row, fields) for fields in self.source.events(row)]

    def _encoded(self, row: Mapping[str, Any], fields: dict[str, Any]) -> Encoded:
        said = {name: value for name, value in fields.items() if value is not None}
        event = checked(self.attribution.apply(row, said))
        if event.occurred_at - datetime.now(UTC) > FUTURE_LIMIT:
            raise InvalidEvent("time_in_future", f"occurred_at: is {event.occurred_at.isoformat()}")
        value = encode(event)
        framing_of(value, no_registry)  # the meter's limit of a record
        return Encoded(event, value)


def figures(event: UsageEvent) -> Figures:
    """What the event counts."""
    cost = None if event.provider_cost is None else Decimal(event.provider_cost)
    return tuple(getattr(event, name) for name in BUCKET_NAMES), cost
