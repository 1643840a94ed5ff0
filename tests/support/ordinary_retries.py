"""Ordinary traffic: calls of which some fail, and are tried again a few times, with backoff."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from streams.guard.concern import Accepted
from tests.support.ledger_rows import NOON, accepted_entry, journal_row

RETRIES = 3
FIRST_BACKOFF_SECONDS = 1.0
_FAILURES = (("error", "500"), ("timeout", "deadline"), ("rate_limited", "429"))
_PLACES = (("openai", "gpt"), ("openai", "gpt-mini"), ("anthropic", "claude"))


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """One attempt, ``second`` of event time after noon."""

    second: float
    team: str
    application: str
    provider: str
    model: str
    number: int
    status: str = "ok"
    error_code: str | None = None


def attempts(
    rng: random.Random, caller: tuple[str, str], starts: Iterable[float], failing: float
) -> Iterator[Attempt]:
    """Every attempt of the calls that start at these seconds. Each fails with this probability,
    and is tried again up to three times: after a second or so, then twice as long each time."""
    for second in starts:
        place = rng.choice(_PLACES)
        for number in range(1, RETRIES + 2):
            if rng.random() >= failing:
                yield Attempt(second, *caller, *place, number)
                break
            yield Attempt(second, *caller, *place, number, *rng.choice(_FAILURES))
            second += FIRST_BACKOFF_SECONDS * 2 ** (number - 1) * rng.uniform(0.5, 1.5)


def entries(made: Iterable[Attempt], every_seconds: float) -> Iterator[Accepted]:
    """The journal entries of these attempts, one for each ``every_seconds`` that has any."""
    pending: list[Attempt] = []
    due, position = every_seconds, 0
    for attempt in sorted(made):
        if attempt.second >= due:
            due = (attempt.second // every_seconds + 1) * every_seconds
            if pending:
                yield _entry(position, pending)
                position, pending = position + 1, []
        pending.append(attempt)
    if pending:
        yield _entry(position, pending)


def _entry(position: int, made: list[Attempt]) -> Accepted:
    alike = Counter(
        (
            *(a.second // 60, a.number > 1, a.team, a.application),
            *(a.provider, a.model, a.status, a.error_code),
        )
        for a in made
    )
    now = NOON + timedelta(seconds=math.floor(made[-1].second))
    return accepted_entry(position, *(_row(key, calls) for key, calls in alike.items()), now=now)


def _row(key: tuple[Any, ...], calls: int) -> dict[str, Any]:
    minute, is_retry, team, application, provider, model, status, error_code = key
    return journal_row(
        minute=NOON + timedelta(minutes=minute),
        team=team,
        application=application,
        provider=provider,
        model=model,
        status=status,
        error_code=error_code,
        is_retry=is_retry,
        calls=calls,
    )


def ordinary_day(seed: int, users: int = 300, failing: float = 0.03) -> list[Attempt]:
    """24 hours of ten teams: everybody works eight hours, in sessions of some calls a minute."""
    rng = random.Random(seed)
    made: list[Attempt] = []
    for user in range(users):
        caller = f"team-{user % 10}", f"app-{user % 23}"
        begins = rng.gauss(9, 2) * 3600
        for _ in range(rng.randint(2, 10)):
            second, starts = begins + rng.uniform(0, 8 * 3600), []
            for _ in range(rng.randint(1, 30)):
                starts.append(second)
                second += rng.expovariate(1 / 20)
            made += attempts(rng, caller, starts, failing)
    return [attempt for attempt in made if 0 <= attempt.second < 24 * 3600]
