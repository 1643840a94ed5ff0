"""A month of the simulated company, call by call: the same one for the same month and seed.

Weekends are quiet, and work grows a little from day to day. People chat in short sessions, agents
work in workflows, services call in bursts. A router sends more and more of what is easy one tier
down, and some calls are asked again there, as shadows, and scored.

Every call says what no event can: whether it repeats a prompt that was answered before, and what it
would have gone to one tier down. So every report on the month has an answer that is known.
"""

from __future__ import annotations

import calendar
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from streams.traffic.company import COMPANY, HOURS, Work
from streams.traffic.company_events import CompanyEvents, Event
from streams.traffic.company_names import (
    UNPRICED,
    customer_of,
    has_workflow,
    outcome_of,
)
from streams.traffic.company_prompts import Prompt, prompt_of
from streams.traffic.company_tiers import (
    LOSS,
    MODEL_DOWN,
    QUALITY,
    TIER,
    TIER_DOWN,
    Named,
    may_go_down,
    named,
    routed_share,
)

WEEKEND = {"people": 0.2, "agents": 0.5, "a service": 0.8}
"""Of the work of a weekday."""
GROWTH = 0.2
"""By how much a day has more work at the end of a month than at its start."""
SESSION = {"people": (2, 6, 40), "agents": (8, 30, 12), "a service": (6, 20, 4)}
"""Calls of a session, at least and at most, and seconds from one to the next on average."""
DUPLICATES = 0.112
"""Of the calls, so that one in ten of those that were answered and billed repeats a prompt."""
LEAST_GAP = timedelta(minutes=2)
"""A prompt is repeated no sooner: an answer was there when it was asked again."""
GATEWAY_CACHED = ("site-search", "answer-page")
HITS = 0.05
SHADOWED, MOST_SHADOWED = 0.0032, 0.5
"""Of the calls on dearer tiers, times ``thinned``: so many that each use case has evidence."""
LEAST_SHADOWED = 0.02
FAILING = 0.025
MOST_ATTEMPTS = 3
BACKOFF_SECONDS = 2.0
WITHOUT_TIER, UNKNOWN_MODEL = 0.04, 0.08
_ENVIRONMENTS = ("production",) * 8 + ("staging", "development")
_LAST_MINUTE = timedelta(minutes=1)
"""Of a day: nothing begins in it, so that retries and outcomes are of the same day."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``duplicate``: it was billed although the same prompt had been answered before, the
    same day. ``down``: the model one tier down that would do as well; None: none would."""

    fields: Event
    duplicate: bool = False
    down: Named | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """What happened in one day, UTC: calls and outcomes, each ordered by time."""

    day: date
    calls: list[Call]
    outcomes: list[Event]


@dataclass
class CompanyMonth:
    """``month``: any day of it. ``thinned``: only one of so many calls is made.

    With more than 150, some use cases have too few shadows for evidence.
    """

    month: date
    thinned: int = 25
    seed: int = 1
    _dice: random.Random = field(init=False)
    _maker: CompanyEvents = field(init=False)
    _due: defaultdict[Work, float] = field(init=False)
    _day: Day = field(init=False)
    _answered: defaultdict[tuple[Work, Named], list[Event]] = field(init=False)

    def __post_init__(self) -> None:
        self.month = self.month.replace(day=1)
        self._dice = random.Random(f"{self.month}|{self.seed}")  # noqa: S311 - simulated, no secret
        self._maker = CompanyEvents(self.seed, self._dice)
        self._due = defaultdict(float)

    @property
    def last(self) -> int:
        """Number of days."""
        return calendar.monthrange(self.month.year, self.month.month)[1]

    def days(self) -> Iterator[Day]:
        """All days, in order."""
        for number in range(1, self.last + 1):
            day = self._day = Day(self.month.replace(day=number), [], [])
            self._answered = defaultdict(list)
            done = (number - 1) / (self.last - 1)
            for work in COMPANY:
                self._work(work, done, weekend=day.day.weekday() >= 5)
            day.calls.sort(key=lambda call: call.fields["occurred_at"])
            day.outcomes.sort(key=lambda outcome: outcome["occurred_at"])
            yield day

    def _work(self, work: Work, done: float, *, weekend: bool) -> None:
        """A day of one work: whole sessions, what is left over goes to the next day."""
        dice, (least, most, _) = self._dice, SESSION[work.by]
        busy = WEEKEND[work.by] if weekend else 1.0
        self._due[work] += work.calls / self.thinned * busy * (1 - GROWTH / 2 + GROWTH * done)
        sizes = []
        while self._due[work] >= 1:
            sizes.append(dice.randint(least, most))
            self._due[work] -= sizes[-1]
        day = datetime(self._day.day.year, self._day.day.month, self._day.day.day, tzinfo=UTC)
        hours = dice.choices(range(24), HOURS, k=len(sizes))
        starts = sorted(
            day + timedelta(hours=hour, milliseconds=dice.randrange(3_600_000)) for hour in hours
        )
        for start, size in zip(starts, sizes, strict=True):
            self._session(work, start, size, done)

    def _session(self, work: Work, at: datetime, size: int, done: float) -> None:
        dice, day = self._dice, self._day.day
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) - _LAST_MINUTE
        number = self._maker.number()
        workflow = f"{work.application}-{day:%Y%m%d}-{number}" if has_workflow(work) else None
        whose = {
            "user": None if work.by == "a service" else dice.choice(work.users),
            "customer": customer_of(work, dice),
            "environment": dice.choice(_ENVIRONMENTS),
            "workflow": workflow,
        }
        for step in range(size):
            if at >= end:
                break
            self._ask(work, at, step, done, whose)
            at += timedelta(seconds=dice.expovariate(1 / SESSION[work.by][2]))
        if (name := outcome_of(work)) and workflow and dice.random() < 0.85:
            when = min(at, end) + timedelta(seconds=30)
            self._day.outcomes.append(self._maker.outcome(when, name, "1", work, workflow=workflow))

    def _ask(self, work: Work, at: datetime, step: int, done: float, whose: dict[str, Any]) -> None:
        """A call until it went well, or too often; each attempt waits twice as long."""
        dice = self._dice
        model, route = self._route(work, done)
        prompt = prompt_of(work, model, step, dice)
        known = self._known(work, model, at)
        repeats = known is not None and dice.random() < DUPLICATES
        if known is not None and repeats:
            prompt = Prompt.of(known)
        elif known is not None and work.application in GATEWAY_CACHED and dice.random() < HITS:
            event = self._maker.event(work, model, at, Prompt.of(known), whose | route)
            event |= {"served_from_cache": True, "routing_tier": None, "routing_reason": None}
            self._day.calls.append(Call(event))
            return
        down = MODEL_DOWN[work.model] if self._may_go_down(work, model, route) else None
        first: str | None = None
        for attempt in range(1, MOST_ATTEMPTS + 1):
            event = self._maker.event(work, model, at, prompt, whose | route)
            event |= {"attempt": attempt, "retry_of": first}
            failed = dice.random() < FAILING
            if failed:
                event |= self._maker.failure(prompt)
            again = attempt == 1 and repeats and not failed and event["usage_source"] != "missing"
            self._day.calls.append(Call(event, again, down))
            if not failed:
                self._answered[work, model].append(event)
                if attempt == 1 and route["routing_tier"] in TIER_DOWN:
                    self._perhaps_shadow(work, event)
                return
            first = event["event_id"]
            wait = BACKOFF_SECONDS * 2 ** (attempt - 1) * dice.uniform(0.5, 1.5)
            at += timedelta(seconds=wait)

    def _route(self, work: Work, done: float) -> tuple[Named, dict[str, str | None]]:
        """Which model is asked, and what the event says of it."""
        dice, tier = self._dice, TIER[work.model]
        if work.application == "notebook" and dice.random() < UNKNOWN_MODEL:
            return UNPRICED, {"routing_tier": None, "routing_reason": None}
        if dice.random() < WITHOUT_TIER:
            return named(work.model), {"routing_tier": None, "routing_reason": None}
        easy = may_go_down(work) and TIER_DOWN[tier] not in TIER_DOWN
        if easy and dice.random() < routed_share(done):
            return MODEL_DOWN[work.model], {
                "routing_tier": TIER_DOWN[tier],
                "routing_reason": "easy",
            }
        return named(work.model), {"routing_tier": tier, "routing_reason": "default"}

    def _may_go_down(self, work: Work, model: Named, route: dict[str, str | None]) -> bool:
        on_its_tier = model == named(work.model) and route["routing_tier"] is not None
        return on_its_tier and may_go_down(work)

    def _known(self, work: Work, model: Named, at: datetime) -> Event | None:
        """A call of today that was answered long enough ago."""
        answered = self._answered[work, model]
        for _ in range(3 if answered else 0):
            event = self._dice.choice(answered)
            if at - event["occurred_at"] >= LEAST_GAP and model != UNPRICED:
                return event
        return None

    def _perhaps_shadow(self, work: Work, event: Event) -> None:
        """Asks the same one tier down, and has both answers scored."""
        dice = self._dice
        share = min(MOST_SHADOWED, max(LEAST_SHADOWED, SHADOWED * self.thinned))
        if dice.random() >= share or work.model not in MODEL_DOWN:
            return
        down = MODEL_DOWN[work.model]
        shadow = event | {
            "event_id": f"{event['event_id']}-shadow",
            "occurred_at": event["occurred_at"] + timedelta(seconds=1),
            "provider": down.provider,
            "model": down.model,
            "routing_tier": TIER_DOWN[event["routing_tier"]],
            "routing_reason": "shadow",
            "shadow_of": event["event_id"],
            "output_tokens": event["output_tokens"] * dice.randint(95, 105) // 100,
        }
        self._day.calls.append(Call(shadow))
        score = dice.gauss(QUALITY, 0.05)
        loss = 0.0 if may_go_down(work) else LOSS
        for one, value in ((event, score), (shadow, score - loss + dice.gauss(0, 0.03))):
            at = one["occurred_at"] + timedelta(seconds=5)
            text = f"{min(1.0, max(0.0, value)):.2f}"
            self._day.outcomes.append(
                self._maker.outcome(at, "quality", text, work, of=one["event_id"])
            )
