"""Posted events: judged one by one as the meter would, and the good ones written to Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.errors import InvalidEvent, Refusal
from schemas.usage import FUTURE_LIMIT, UsageEvent, checked
from schemas.wire import framing_of, no_registry
from streams.metrics import HTTP_EVENTS
from streams.web.cloudevents import Posted
from streams.web.publisher import Publisher, encoded
from streams.web.tokens import Token

FORBIDDEN_TEAM = "forbidden_team"
"""The one code that docs/events.md does not have: the meter knows no tokens."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event; ``refusal`` None: Kafka has it."""

    id: str | None
    refusal: Refusal | None = None

    def as_json(self) -> dict[str, Any]:
        """Its line in the answer."""
        if self.refusal is None:
            return {"id": self.id, "status": "accepted"}
        why = {"code": self.refusal.code, "error": self.refusal.detail}
        return {"id": self.id, "status": "refused", **why}


def _now() -> datetime:
    return datetime.now(UTC)


class Ingest:
    """Takes events of any route. ``clock`` is the server's, UTC."""

    def __init__(self, publisher: Publisher, clock: Callable[[], datetime] = _now) -> None:
        self._publisher = publisher
        self.clock = clock

    async def ingest(self, events: Sequence[Posted], token: Token) -> list[Result]:
        """A result for each event, in their order, once Kafka has acknowledged the accepted ones.

        ``events`` are fields as docs/events.md has them. Refused ones are not written anywhere.
        Raises RequestRefused: 429 and nothing is written, or 503 and some may be.
        """
        self._publisher.check()
        now, defaults = self.clock(), token.fields()
        results: list[Result] = []
        good: list[tuple[UsageEvent, bytes]] = []
        for fields in events:
            try:
                event, value = self._judged(fields, token, defaults, now)
            except InvalidEvent as error:
                results.append(Result(_id_of(fields), error.refusal))
            else:
                results.append(Result(event.event_id))
                good.append((event, value))
        await self._publisher.publish(good)
        _count(results)
        return results

    def _judged(
        self, fields: Posted, token: Token, defaults: Mapping[str, str], now: datetime
    ) -> tuple[UsageEvent, bytes]:
        if isinstance(fields, Refusal):
            raise InvalidEvent(fields.code, fields.detail)
        if any(fields.get(name) is None for name in defaults):
            left_out = {name: v for name, v in defaults.items() if fields.get(name) is None}
            fields = {**fields, **left_out}
        event = checked(fields)
        if event.occurred_at - now > FUTURE_LIMIT:
            minutes = int(FUTURE_LIMIT.total_seconds() // 60)
            raise InvalidEvent(
                "time_in_future",
                f"occurred_at: is more than {minutes} minutes after now "
                f"({now:%Y-%m-%dT%H:%M:%SZ}); is the clock of the producer right?",
            )
        if not token.may_write_for(event.team):
            raise InvalidEvent(
                FORBIDDEN_TEAM,
                f"team: token {token.name} may not write for {event.team[:80]!r}; it may for "
                f"{', '.join(token.teams)}",
            )
        value = encoded(event)
        framing_of(value, no_registry)  # the meter's limit of a record
        return event, value


def _id_of(fields: Posted) -> str | None:
    """The id of an event that was refused, where it has one that can be told."""
    found = None if isinstance(fields, Refusal) else fields.get("event_id")
    return found if isinstance(found, str) else None


def _count(results: Sequence[Result]) -> None:
    outcomes = [result.refusal.code if result.refusal else "accepted" for result in results]
    for outcome in set(outcomes):
        HTTP_EVENTS.labels(outcome).inc(outcomes.count(outcome))
