"""A service in a retry storm: its provider turns it away, and it asks again, and again.

Between 30 % and 70 % of the run most attempts fail, and each failure is tried again up to the
sixth attempt. Before and after, one call in a hundred fails and its second attempt works.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from schemas.usage import UsageEvent
from streams.traffic.demo_calls import Caller, Profile, Run

REQUESTS_PER_SECOND = 8
STORM_FROM_PERCENT, STORM_TO_PERCENT = 30, 70
MAX_ATTEMPTS = 6
_FAILING_PERCENT_IN_STORM = 90
_FAILING_PERCENT = 1
_BACKOFF_TICKS = (2, 4)
"""Bounds of the pause before an attempt: too short for an overloaded provider, hence the storm."""

_PROFILE = Profile(
    "checkout", "product", "order-bot", "order-status", "openai", "gpt-4o-mini", 250,
    (700, 1600), (80, 200),
)  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class _Retry:
    due: int
    number: int
    attempt: int
    retry_of: str
    prompt_hash: str
    user: str
    input_tokens: int


class RetryStorm:
    """The team ``checkout``. Retries that are due after the end of the run are never made."""

    def __init__(self, run: Run) -> None:
        self._caller = Caller(run, _PROFILE)
        self._run = run
        self._waiting: list[_Retry] = []
        self._scheduled = 0

    def tick(self, tick: int) -> list[UsageEvent]:
        """The attempts of one tick: new requests, and the retries that are due."""
        events = []
        while self._waiting and self._waiting[0].due <= tick:
            retry = heapq.heappop(self._waiting)
            repeated = {
                "retry_of": retry.retry_of,
                "prompt_hash": retry.prompt_hash,
                "user": retry.user,
            }
            events.append(self._attempt(tick, retry.attempt, retry.input_tokens, repeated))
        for _ in range(self._caller.due(REQUESTS_PER_SECOND)):
            prompt = self._caller.dice.randint(*_PROFILE.prompt)
            events.append(self._attempt(tick, 1, prompt, {}))
        return events

    def _attempt(
        self, tick: int, attempt: int, prompt: int, repeated: dict[str, str]
    ) -> UsageEvent:
        done = 100 * tick // self._run.ticks
        storm = STORM_FROM_PERCENT <= done < STORM_TO_PERCENT
        dice = self._caller.dice
        failing = _FAILING_PERCENT_IN_STORM if storm else _FAILING_PERCENT * (attempt == 1)
        outcome: dict[str, Any] = {"input_tokens": prompt}
        failed = dice.randrange(100) < failing
        if failed and dice.randrange(2):
            # Turned away at the door: nothing was read, nothing is billed.
            outcome = {
                "status": "rate_limited", "error_code": "429",
                "input_tokens": 0, "output_tokens": 0, "latency_ms": 40,
            }  # fmt: skip
        elif failed:
            # It broke off while it answered: the prompt is billed.
            outcome |= {"status": "error", "error_code": "503", "output_tokens": 0}
        event = self._caller.call(tick, attempt=attempt, **outcome, **repeated)
        if failed and attempt < MAX_ATTEMPTS:
            self._schedule(event, tick + dice.randint(*_BACKOFF_TICKS), attempt + 1, prompt)
        return event

    def _schedule(self, event: UsageEvent, due: int, attempt: int, prompt: int) -> None:
        self._scheduled += 1
        retry = _Retry(
            due=due,
            number=self._scheduled,
            attempt=attempt,
            retry_of=event.event_id,
            prompt_hash=event.prompt_hash or "",
            user=event.user or "",
            input_tokens=prompt,
        )
        heapq.heappush(self._waiting, retry)
