"""Usage events with known figures: what each one must add to every copy, by an independent way.

Costs are genai-prices' own (`calc_price`), once per shape of call, and not the meter's.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from genai_prices.data_snapshot import get_snapshot

from schemas.usage import UsageEvent
from schemas.wire import encode, encode_json
from tests.support.genai import second_opinion

TEAMS = (
    *("atlas", "bravo", "swing", "delta", "echo", "fox", "golf", "hotel", "india", "juliet"),
    *("kilo", "lima", "mike", "nova", "oscar", "papa"),
)
STEADY = ("atlas", "bravo")
"""Teams with a budget and without voids: their spend only grows, so it is known what is due."""
SWING = "swing"
"""A team with a budget and many voids: it crosses its thresholds in both directions."""
MODELS = (
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o"),
    ("anthropic", "claude-haiku-4-5"),
    ("google", "gemini-2.5-flash"),
)
UNPRICED = ("own", "prototype-7")
SHAPES = 60
RECENT = 100
"""An event is repeated or taken back within so many of its kind: well within the horizon."""


@dataclass(frozen=True, slots=True)
class Line:
    """What events add to a copy. ``cost`` in pico-dollars, None where no price is known;
    ``minute`` in minutes since 1970, UTC."""

    calls: int
    tokens: int
    cost: int | None
    minute: int


@dataclass(frozen=True, slots=True)
class Event:
    """One record to publish. ``line`` None: it must be refused, for this ``reason`` where one is
    given. ``epoch``: the round that it is of."""

    event_id: str
    epoch: str
    team: str
    value: bytes
    at: datetime
    line: Line | None
    reason: str | None = None


@dataclass(frozen=True)
class _Shape:
    provider: str
    model: str
    buckets: tuple[tuple[str, int], ...]

    @property
    def tokens(self) -> int:
        return sum(count for _, count in self.buckets)


@cache
def _cost(shape: _Shape, day: date) -> int | None:
    if (shape.provider, shape.model) == UNPRICED:
        return None
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    provider, model = get_snapshot().find_provider_model(shape.model, None, shape.provider, None)
    cost = second_opinion(provider, model, dict(shape.buckets), noon, None).cost
    assert cost is not None, f"{shape.provider}/{shape.model} has no price"
    return cost


class EventSource:
    """An endless mix of events; the same ``seed`` makes the same choices.

    Of a hundred: two take an earlier one of their round back, two have no price, one is refused.
    """

    def __init__(self, seed: int) -> None:
        self._dice = Random(seed)
        self._count = 0
        self._shapes = [self._shape() for _ in range(SHAPES)]
        self._recent: deque[tuple[UsageEvent, _Shape]] = deque(maxlen=RECENT)

    def mean_cost(self, day: date) -> Decimal:
        """USD of a priced event, on average."""
        costs = [_cost(shape, day) or 0 for shape in self._shapes]
        return Decimal(sum(costs)).scaleb(-12) / len(costs)

    def forget(self) -> None:
        """Take nothing back that was made before."""
        self._recent.clear()

    def call(self, epoch: str, clock: datetime, *, early: bool) -> Event:
        """A call by a producer with a clock of its own: too ``early`` to be true, or late."""
        shape = self._dice.choice(self._shapes)
        made = self._call(epoch, clock, self._dice.choice(TEAMS), shape)
        event = self._event(epoch, made, shape, 1)
        return replace(event, line=None, reason="time_in_future") if early else event

    def next(self, epoch: str, now: datetime) -> Event:
        """The next event of the mix."""
        dice = self._dice.random()
        if dice < 0.01:
            return self._bad(epoch, now)
        if dice < 0.03 and self._recent:
            return self._void(epoch)
        shape = self._dice.choice(self._shapes)
        if dice > 0.98:
            shape = _Shape(*UNPRICED, shape.buckets)
        team = self._dice.choice(TEAMS)
        event = self._call(epoch, now, team, shape)
        if team not in STEADY:
            self._recent.append((event, shape))
        return self._event(epoch, event, shape, 1)

    def _void(self, epoch: str) -> Event:
        original, shape = self._recent.popleft()
        identity = original.event_id
        fields = original.model_dump() | {"kind": "void", "voids": identity}
        event = UsageEvent.model_validate(fields | {"event_id": f"void:{identity}"})
        return self._event(epoch, event, shape, -1)

    def _event(self, epoch: str, event: UsageEvent, shape: _Shape, sign: int) -> Event:
        cost = _cost(shape, event.occurred_at.date())
        line = Line(
            sign,
            sign * shape.tokens,
            None if cost is None else sign * cost,
            int(event.occurred_at.timestamp()) // 60,
        )
        # In both ways that our clients write.
        value = encode(event) if self._dice.random() < 0.5 else encode_json(event)
        return Event(event.event_id, epoch, event.team, value, event.occurred_at, line)

    def _bad(self, epoch: str, now: datetime) -> Event:
        shape = self._shapes[0]
        good = self._call(epoch, now, "legacy", shape)
        fields: dict[str, Any] = json.loads(encode_json(good))
        values = (
            encode_json(good)[:-20],
            json.dumps(fields | {"total_tokens": 1}).encode(),
            json.dumps({name: text for name, text in fields.items() if name != "team"}).encode(),
            f"usage of {good.event_id}".encode(),
        )
        value = self._dice.choice(values)
        return Event(good.event_id, epoch, self._dice.choice(TEAMS), value, now, None)

    def _call(self, epoch: str, now: datetime, team: str, shape: _Shape) -> UsageEvent:
        # A workflow of its own: so the ledger, which knows no ids, has a row for each event, and
        # one that is lost cannot be outweighed by another that counts twice.
        self._count += 1
        identity = f"e{self._count}"
        return UsageEvent.model_validate(
            {
                "event_id": identity,
                "occurred_at": now - timedelta(seconds=self._dice.random()),
                "provider": shape.provider,
                "model": shape.model,
                "team": team,
                "project": epoch,
                "workflow": identity,
                "application": f"app-{self._count % 3}",
                "usage_source": "reported",
                **dict(shape.buckets),
            }
        )

    def _shape(self) -> _Shape:
        provider, model = self._dice.choice(MODELS)
        buckets = (
            ("input_tokens", self._dice.randint(1, 9000)),
            ("cache_read_tokens", self._dice.randint(0, 3000)),
            ("output_tokens", self._dice.randint(1, 900)),
        )
        return _Shape(provider, model, buckets)
