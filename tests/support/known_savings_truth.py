"""What could be saved of a `known_month`, worked out from its events one by one, in plain Python.

It shares nothing with the queries that are tested against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.support.known_savings import RATES, Event, Month

DAY, LIFETIME = timedelta(hours=24), timedelta(minutes=5)
MILLION = Decimal(10**6)


@dataclass
class Truth:
    """USD that one case saves: each kind alone, and on top of the kinds before it."""

    alone: dict[str, Decimal]
    added: dict[str, Decimal]

    @property
    def total(self) -> Decimal:
        """All of it, nothing counted twice."""
        return sum(self.added.values(), Decimal(0))


def truth(month: Month, *, hopeful: bool, window: timedelta = DAY) -> Truth:
    """Call by call."""
    calls = month.calls
    repeated = set(_duplicates(calls, hopeful, window))
    rest = [event for event in calls if event["event_id"] not in repeated]
    reads, reads_next = _cached(calls, hopeful), _cached(rest, hopeful)
    alone = {
        "duplicates": _sum(cost(event) for event in calls if event["event_id"] in repeated),
        "prefixes": _sum(cost(event) - cost(event, cached=reads) for event in calls),
        "routing": _sum(cost(event) - cost(event, month) for event in calls if _easy(event)),
        "retries": _sum(cost(event) for event in calls if _wasted(event, hopeful)),
    }
    added = {
        "duplicates": alone["duplicates"],
        "prefixes": _sum(cost(event) - cost(event, cached=reads_next) for event in rest),
        "routing": _sum(
            cost(event, cached=reads_next) - cost(event, month, cached=reads_next)
            for event in rest
            if _easy(event)
        ),
        "retries": _sum(
            cost(event, month if _easy(event) else None, cached=reads_next)
            for event in rest
            if _wasted(event, hopeful)
        ),
    }
    return Truth(alone, added)


def cost(event: Event, small: Month | None = None, cached: dict[str, str] | None = None) -> Decimal:
    """USD of a call; on the small model, and with its prefix read from or written to a cache."""
    if event.get("served_from_cache"):
        return Decimal(0)
    name, tokens = event["event_id"], event["input_tokens"]
    model = event["model"] if small is None else "small"
    plain, read, write, output = RATES[model]
    answer = event["output_tokens"] if small is None else small.small_output[name]
    usd = event.get("cache_read_tokens", 0) * read + answer * output
    if (how := (cached or {}).get(name)) is not None:
        usd += _billed_prefix(event) * (read if how == "read" else write)
        tokens -= _billed_prefix(event)
    return (usd + tokens * plain) / MILLION


def _billed_prefix(event: Event) -> int:
    """Its prefix tokens that were billed as ordinary input."""
    return max((event.get("prefix_tokens") or 0) - event.get("cache_read_tokens", 0), 0)


def grown(month: Month, first: int = 3) -> Decimal:
    """USD of what prompts have beyond the median of their workflow's first calls."""
    runs: dict[str, list[Event]] = {}
    for event in month.calls:
        if event.get("workflow") and not event.get("served_from_cache"):
            runs.setdefault(event["workflow"], []).append(event)
    whole = Decimal(0)
    for run in runs.values():
        usual = sorted(_prompt(event) for event in run[:first])[(first - 1) // 2]
        for event in run[first:]:
            plain, read, _, _ = RATES[event["model"]]
            usd = event["input_tokens"] * plain + event.get("cache_read_tokens", 0) * read
            more = Fraction(max(_prompt(event) - usual, 0), _prompt(event))
            pico = Fraction(usd) * 10**6 * more
            whole += Decimal(int(pico + Fraction(1, 2))).scaleb(-12)
    return whole


def _prompt(event: Event) -> int:
    return int(event["input_tokens"]) + int(event.get("cache_read_tokens", 0))


def _duplicates(calls: Iterable[Event], hopeful: bool, window: timedelta) -> Iterator[str]:
    answers: dict[Any, datetime] = {}
    for event in calls:
        if event.get("served_from_cache") or event.get("status"):
            continue
        at = event["occurred_at"]
        began = at if hopeful else at - timedelta(milliseconds=event["latency_ms"])
        key = ("" if hopeful else event["team"], event["model"], event["prompt_hash"])
        before = answers.get(key)
        if before is not None and at - window <= before <= began and "attempt" not in event:
            yield event["event_id"]
        answers[key] = at


def _cached(calls: list[Event], hopeful: bool) -> dict[str, str]:
    """Event ids whose prefix a cache would have served (read), or taken in (write)."""
    rows: dict[Any, list[Event]] = {}
    for event in calls:
        if event.get("prefix_hash") and not event.get("served_from_cache"):
            key = ("" if hopeful else event["team"], event["model"], event["prefix_hash"])
            rows.setdefault(key, []).append(event)
    how = {}
    for row in rows.values():
        for before, event, after in zip([None, *row], row, [*row[1:], None], strict=False):
            at = event["occurred_at"]
            if before is not None and at - before["occurred_at"] <= LIFETIME:
                how[event["event_id"]] = "read"
            elif not hopeful or (after is not None and after["occurred_at"] - at <= LIFETIME):
                how[event["event_id"]] = "write"
    return how


def _easy(event: Event) -> bool:
    return bool(event["use_case"] == "answers")


def _wasted(event: Event, hopeful: bool) -> bool:
    return "status" in event and (hopeful or "attempt" in event)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
