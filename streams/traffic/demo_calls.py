"""What the simulated teams share: the run, its clock, and how one call becomes an event."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from schemas.usage import UsageEvent

TICKS_PER_SECOND = 10
TICK = timedelta(seconds=1) / TICKS_PER_SECOND
_TICK_MICROSECONDS = 100_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the demo: its start (UTC), its length, and what its chance is seeded by."""

    start: datetime
    seconds: int
    seed: int

    @property
    def ticks(self) -> int:
        """Length of the run in ticks of 100 ms."""
        return self.seconds * TICKS_PER_SECOND

    @property
    def name(self) -> str:
        """Prefix of the run's event ids: another start, length or seed is another run."""
        identity = f"{self.start.isoformat()}|{self.seconds}|{self.seed}"
        return f"demo:{blake2b(identity.encode(), digest_size=6).hexdigest()}"

    def dice(self, purpose: str) -> random.Random:
        """A source of chance of its own for each purpose, so that one team moves no other."""
        return random.Random(f"{self.seed}|{purpose}")  # noqa: S311 - simulated traffic, no secret


@dataclass(frozen=True, slots=True)
class Profile:
    """Names and sizes of a team's ordinary calls. Token ranges are inclusive.

    ``cached`` is the part of the prompt, in tokens, that is read from the provider's cache in
    ``cached_percent`` of the calls.
    """

    team: str
    department: str
    application: str
    use_case: str
    provider: str
    model: str
    users: int
    prompt: tuple[int, int]
    answer: tuple[int, int]
    cached: int = 0
    cached_percent: int = 0
    service_tier: str | None = None


class Caller:
    """Makes the events of one profile, in one run: ids count up, sizes are drawn."""

    def __init__(self, run: Run, profile: Profile) -> None:
        self.dice = run.dice(f"{profile.team}/{profile.application}")
        self._run = run
        self._profile = profile
        self._made = 0
        self._carry = 0.0

    def due(self, calls_per_second: float) -> int:
        """How many calls fall into the next tick at this rate; fractions carry over."""
        self._carry += calls_per_second / TICKS_PER_SECOND
        count = int(self._carry)
        self._carry -= count
        return count

    def prompt_hash(self) -> str:
        """A hash for a prompt that nobody sent before."""
        return f"{self.dice.getrandbits(64):016x}"

    def user(self) -> str:
        """One of the team's users."""
        return f"{self._profile.team}-user-{self.dice.randint(1, self._profile.users)}"

    def call(self, tick: int, **fields: Any) -> UsageEvent:
        """An event in tick ``tick``; ``fields`` replace or add to what the profile draws."""
        profile, dice = self._profile, self.dice
        self._made += 1
        prompt, answer = dice.randint(*profile.prompt), dice.randint(*profile.answer)
        cached = profile.cached if dice.randrange(100) < profile.cached_percent else 0
        offset = timedelta(microseconds=dice.randrange(_TICK_MICROSECONDS))
        drawn: dict[str, Any] = {
            "event_id": f"{self._run.name}:{profile.team}:{self._made}",
            "occurred_at": self._run.start + tick * TICK + offset,
            "provider": profile.provider,
            "model": profile.model,
            "service_tier": profile.service_tier,
            "department": profile.department,
            "team": profile.team,
            "use_case": profile.use_case,
            "application": profile.application,
            "environment": "production",
            "user": self.user(),
            "attempt": 1,
            "status": "ok",
            "usage_source": "reported",
            "input_tokens": prompt,
            "cache_read_tokens": cached if profile.cached else None,
            "output_tokens": answer,
            "prompt_hash": self.prompt_hash(),
            "latency_ms": 200 + 12 * answer,
        }
        return UsageEvent(**(drawn | fields))
