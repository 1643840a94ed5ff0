"""An ordinary day of the simulated company, call by call.

Nights are quiet and noons busy; people chat, agents work in workflows of tens of calls, services
call at any hour. Of a hundred calls two or three fail, and are tried again with backoff.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from streams.traffic.company import COMPANY, DEPARTMENT, HOURS, MODELS, Work

Event = dict[str, Any]

SECONDS_PER_HOUR = 3600
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

FAILING = 0.025
"""Of the attempts, on an ordinary day."""
MOST_ATTEMPTS = 3
BACKOFF_SECONDS = 2.0
_FAILURES = (("error", "500"), ("timeout", "deadline"), ("rate_limited", "429"))
_ENVIRONMENTS = ("production",) * 8 + ("staging", "development")


HELP_DESK = next(one for one in COMPANY if one.application == "help-desk")


def prices(thinned: int = 1) -> str:
    """The price file. Where only one of so many calls is made, it costs as much as all of them."""
    rates = {one: 1 if one is HELP_DESK.model else thinned for one in MODELS}
    return "prices:\n" + "".join(
        f"  - {{provider: {one.provider}, model: {one.name}, effective_from: 2020-01-01, "
        f"usd_per_million_tokens: {{input: {one.input * times / 10}, "
        f"output: {one.output * times / 10}}}}}\n"
        for one, times in rates.items()
    )


@dataclass
class Traffic:
    """Makes the events of a day that begins at ``day`` (UTC); the same ones for the same seed.

    ``thinned``: only one of so many calls is made, but for the help desk's, of which every quarter
    of an hour needs enough. ``down``: whether a call at a time fails beyond what is ordinary.
    ``prompt_factor``: how many times its ordinary prompt a call carries.
    """

    day: datetime
    seed: int
    thinned: int = 1
    down: Callable[[Work, datetime], bool] = lambda _work, _at: False
    prompt_factor: Callable[[Work, datetime], int] = lambda _work, _at: 1
    _made: int = field(default=0, init=False)
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def ordinary_day(self) -> Iterator[Event]:
        """A day of every team, in no order."""
        for work in COMPANY:
            a_day = work.calls if work is HELP_DESK else work.calls / self.thinned
            for hour, weight in enumerate(HOURS):
                calls = round(a_day * weight / sum(HOURS) * self._dice.uniform(0.9, 1.1))
                yield from self._hour(work, self.day + hour * HOUR, calls)

    def call(self, work: Work, at: datetime, **fields: Any) -> Event:
        """One call that went well; ``fields`` replace or add to what is drawn."""
        dice = self._dice
        self._made += 1
        spread = dice.randint(60, 140)
        return {
            "event_id": f"{work.team}-{self.day:%Y%m%d}-{self.seed}-{self._made}",
            "occurred_at": at,
            "provider": work.model.provider,
            "model": work.model.name,
            "department": DEPARTMENT[work.team],
            "team": work.team,
            "use_case": work.use_case,
            "application": work.application,
            "environment": dice.choice(_ENVIRONMENTS),
            "user": dice.choice(work.users),
            "attempt": 1,
            "status": "ok",
            "usage_source": "reported",
            "input_tokens": work.prompt * spread // 100 * self.prompt_factor(work, at),
            "output_tokens": work.answer * dice.randint(60, 140) // 100,
            "prompt_hash": f"{dice.getrandbits(64):016x}",
        } | fields

    def _hour(self, work: Work, start: datetime, calls: int) -> Iterator[Event]:
        while calls > 0:
            at = self._within(start)
            if work.by != "agents":
                yield from self._attempts(work, at)
                calls -= 1
                continue
            steps = min(calls, self._dice.randint(8, 50))
            workflow = f"{work.application}-{self._dice.getrandbits(32):08x}"
            user = self._dice.choice(work.users)
            for _ in range(steps):
                yield from self._attempts(work, at, workflow=workflow, user=user)
                at += timedelta(seconds=self._dice.expovariate(1 / 12))
            calls -= steps

    def _attempts(self, work: Work, at: datetime, **fields: Any) -> Iterator[Event]:
        """A call until it went well, or too often; each attempt waits twice as long."""
        dice = self._dice
        for attempt in range(1, MOST_ATTEMPTS + 1):
            down = self.down(work, at)
            event = self.call(work, at, **fields) | {"attempt": attempt}
            if not down and dice.random() >= FAILING:
                yield event
                return
            yield event | (self._outage() if down else self._failure())
            fields |= {
                name: event[name] for name in ("user", "environment", "prompt_hash", "input_tokens")
            } | {"retry_of": event["event_id"]}
            wait = BACKOFF_SECONDS * 2 ** (attempt - 1) * dice.uniform(0.5, 1.5)
            at += timedelta(seconds=wait)

    def _failure(self) -> Event:
        status, code = self._dice.choice(_FAILURES)
        known = {"input_tokens": 0} if status == "rate_limited" else {}
        return {"status": status, "error_code": code, "output_tokens": 0} | known

    def _outage(self) -> Event:
        """Nobody knows what a call took that was never answered."""
        status, code = self._dice.choice((("timeout", "deadline"), ("error", "503")))
        unknown = {"usage_source": "missing", "input_tokens": None, "output_tokens": None}
        return {"status": status, "error_code": code} | unknown

    def _within(self, start: datetime) -> datetime:
        return start + timedelta(milliseconds=self._dice.randrange(SECONDS_PER_HOUR * 1000))
