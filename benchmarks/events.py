"""The usage that every measurement reads: realistic events, encoded once.

18 of the contract's fields are set, the same 20 teams, 300 users, 10 models (all with a list price)
and 3 applications throughout, over two minutes of event time; 1 % are retries. A user works with
one application and two models. Every event id is new. A team's events share a partition, as they
do under the contract's key.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from streams.traffic.encoding import RowEncoder

PARTITIONS = 4
SECONDS = 120
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TEAMS = tuple(f"team-{number:02d}" for number in range(20))
USERS_PER_TEAM = 15
APPLICATIONS = ("assistant", "search", "batch-enrichment")
MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4.1"),
    ("openai", "gpt-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("anthropic", "claude-opus-4-1"),
    ("google", "gemini-2.5-pro"),
    ("google", "gemini-2.5-flash"),
    ("mistral", "mistral-large-latest"),
)
RETRY_EVERY = 100

_VARYING = frozenset(
    {
        "event_id",
        "occurred_at",
        "provider",
        "model",
        "department",
        "team",
        "project",
        "application",
        "user",
        "request_id",
        "input_tokens",
        "cache_read_tokens",
        "output_tokens",
        "latency_ms",
    }
)
_CONSTANT: Mapping[str, Any] = {
    "environment": "production",
    "attempt": 1,
    "status": "ok",
    "usage_source": "reported",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """One encoded event, and where it goes."""

    partition: int
    key: bytes
    value: bytes


def usage(count: int, seed: int = 1) -> Iterator[Usage]:
    """So many events, the same for the same seed, in order of event time."""
    rng = random.Random(seed)
    first_tries = RowEncoder(_VARYING, _CONSTANT)
    retries = RowEncoder(_VARYING | {"retry_of"}, {**_CONSTANT, "attempt": 2})
    started = int(START.timestamp()) * 1_000_000
    step = SECONDS * 1_000_000 // max(count, 1)
    for number in range(count):
        occurred_at = started + number * step
        team = rng.randrange(len(TEAMS))
        user = team * USERS_PER_TEAM + rng.randrange(USERS_PER_TEAM)
        provider, model = MODELS[(user + rng.randrange(2)) % len(MODELS)]
        values: dict[str, str | int] = {
            "event_id": _uuid7(occurred_at // 1000, rng.getrandbits(74)),
            "occurred_at": occurred_at,
            "provider": provider,
            "model": model,
            "department": f"department-{team % 4}",
            "team": TEAMS[team],
            "project": f"project-{team:02d}",
            "application": APPLICATIONS[user % len(APPLICATIONS)],
            "user": f"user-{user:03d}",
            "request_id": f"req_{rng.getrandbits(64):016x}",
            "input_tokens": rng.randrange(200, 8000),
            "cache_read_tokens": rng.randrange(0, 4000),
            "output_tokens": rng.randrange(20, 1200),
            "latency_ms": rng.randrange(200, 9000),
        }
        encoder = first_tries
        if number % RETRY_EVERY == 0:
            encoder, values["retry_of"] = retries, f"req_{rng.getrandbits(64):016x}"
        yield Usage(team % PARTITIONS, TEAMS[team].encode(), encoder.encode(values))


def _uuid7(milliseconds: int, noise: int) -> str:
    """An id as the client makes them (RFC 9562): by time, then 74 random bits."""
    low = 1 << 63 | noise & (1 << 62) - 1
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | (noise >> 62) << 64 | low))
