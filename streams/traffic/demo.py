"""`spendstream demo`: a minute in the life of eight teams, the same for the same seed.

Most of them just work. One goes over its budget, one agent runs away, one service retries in a
storm, one calls a model without a price, and now and then somebody sends what is no usage event.
The story is told in fractions of the run: with 30 seconds or 300, the budgets in
``demo_budgets.yaml`` are crossed at the same points of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from typing import Protocol

from schemas.errors import UserError
from schemas.usage import UsageEvent
from streams.traffic.demo_calls import Caller, Profile, Run
from streams.traffic.demo_storm import RetryStorm

MIN_SECONDS = 10
"""In less time a retry storm could not unfold: its last attempts come seconds after the first."""
MAX_SECONDS = 3600
"""In longer runs support's ordinary traffic would come near its budget, and spoil the story."""

_STEADY: tuple[tuple[float, Profile], ...] = (  # calls per second, and what they are
    (20, Profile("support", "customer-care", "help-desk", "answering", "anthropic",
                 "claude-haiku-4-5", 400, (200, 900), (60, 240), 1024, 60)),
    (60, Profile("search", "product", "site-search", "query-rewriting", "gcp.gemini",
                 "gemini-2.5-flash-lite", 900, (60, 300), (8, 40))),
    (20, Profile("platform", "engineering", "code-review", "code-review", "openai",
                 "gpt-4o-mini", 60, (800, 4000), (100, 500), 2048, 80)),
    (8, Profile("analytics", "finance", "report-writer", "classification", "openai",
                "gpt-4o-mini", 6, (1500, 4000), (20, 120), service_tier="batch")),
    (0.5, Profile("labs", "engineering", "prototype", "experiments", "in-house",
                  "labs-7b-finetune", 4, (200, 1500), (50, 400))),
)  # fmt: skip
_MARKETING = Profile(
    "marketing", "sales", "copy-desk", "drafting", "openai", "gpt-4o", 18, (600, 1400), (150, 350)
)
_MARKETING_CALLS = 750
"""Calls per run. At half a cent each they come to 125 % of the budget of 3.00 USD."""
_AGENT = Profile(
    "research", "engineering", "deep-agent", "literature-review", "anthropic",
    "claude-sonnet-4-5", 1, (0, 0), (300, 900),
)  # fmt: skip
_AGENT_CALLS = 300
"""Calls per run. With the contexts below they come to about 32 USD, of a budget of 25.00."""
_AGENT_SPEED_UP = 9
"""The agent calls this many times as often at the end of the run as at its start."""
_AGENT_CONTEXT = (2_000, 50_000)


class _Team(Protocol):
    def tick(self, tick: int) -> list[UsageEvent]: ...


class _Steady:
    """A team that makes the same kind of call at the same rate."""

    def __init__(self, run: Run, calls_per_second: float, profile: Profile) -> None:
        self._caller = Caller(run, profile)
        self._rate = calls_per_second

    def tick(self, tick: int) -> list[UsageEvent]:
        return [self._caller.call(tick) for _ in range(self._caller.due(self._rate))]


class _Runaway:
    """An agent that never finishes: each step carries all former ones, and steps come faster."""

    def __init__(self, run: Run) -> None:
        self._caller = Caller(run, _AGENT)
        self._run = run
        self._workflow = f"{run.name}:deep-agent"

    def tick(self, tick: int) -> list[UsageEvent]:
        done = tick / self._run.ticks
        mean = _AGENT_CALLS / self._run.seconds
        rate = mean * (1 + (_AGENT_SPEED_UP - 1) * done) / ((1 + _AGENT_SPEED_UP) / 2)
        least, most = _AGENT_CONTEXT
        context = least + round((most - least) * done)
        return [
            self._caller.call(
                tick, workflow=self._workflow, input_tokens=context, context_tokens=context
            )
            for _ in range(self._caller.due(rate))
        ]


def scenario(start: datetime, seconds: int, seed: int = 0) -> Iterator[list[UsageEvent]]:
    """The events of each tick of 100 ms, ordered by occurred_at, which lies in that tick.

    So a tick is to be sent when it ends. ``start`` has a zone. Raises UserError where ``seconds``
    is out of bounds.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise UserError(f"seconds is {seconds}; the demo runs {MIN_SECONDS} to {MAX_SECONDS}")
    if start.tzinfo is None:
        raise ValueError("start has no zone")
    run = Run(start, seconds, seed)
    teams: list[_Team] = [_Steady(run, rate, profile) for rate, profile in _STEADY]
    teams += [_Steady(run, _MARKETING_CALLS / seconds, _MARKETING), _Runaway(run), RetryStorm(run)]
    return (_merged(teams, tick) for tick in range(run.ticks))


def _merged(teams: list[_Team], tick: int) -> list[UsageEvent]:
    return sorted(
        (event for team in teams for event in team.tick(tick)), key=lambda event: event.occurred_at
    )


def demo_budgets() -> str:
    """The budgets that go with the scenario, as YAML text."""
    return files(__package__).joinpath("demo_budgets.yaml").read_text("utf-8")
