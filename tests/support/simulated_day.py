"""A day of the simulated company, with the month before it, and what goes wrong in it.

The same day of the same month for the same seed: two retry storms of different cause, a provider
outage, a runaway workflow, a bloated context, forbidden calls, and budgets that are crossed, one of
them by a mistake that is taken back. `EXPECTED` is what has to be said of all that, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

from spendstream._avro import encode
from spendstream._event import void_of

from streams.traffic.company import COMPANY, DEPARTMENT, FLASH, FRONTIER, HOURS, MINI, Work
from streams.traffic.records import Record
from tests.support.simulated_company import HELP_DESK, HOUR, MINUTE, Event, Traffic

DAY_OF_MONTH = 20
NORM_DAYS = 3
"""Days before the day of which there are calls by use case, as norms need them."""
CAP_A_DAY = 2.85
"""USD that `OVER_CAP` spends every day before the day: 94 % of the cap in all."""
CHEAP = {"provider": FLASH.provider, "model": FLASH.name}
LOOP_PROMPT = "5ca1ab1e0ddba115"
LOOPING = {"team": "marketing", "application": "copy-desk"}
LOOP_ENDS = (10, 16)
"""Hour and minute."""

ORDER_BOT, COPY_DESK, DEEP_AGENT, NOTEBOOK, REPORTS = (
    next(work for work in COMPANY if (work.application, work.use_case) == names)
    for names in (
        ("order-bot", "order-status"),
        ("copy-desk", "drafting"),
        ("deep-agent", "literature"),
        ("notebook", "questions"),
        ("report-writer", "reports"),
    )
)
OVER_CAP, MISTAKEN, NOT_ALLOWED = "analytics-7", "research-3", "support-9"
RUNAWAY = "deep-agent-loop"

BUDGETS = """
timezone: Asia/Hong_Kong
currency: HKD
exchange_rates:
  HKD:
    2026-01-01: 7.80
budgets:
  - name: users
    each: user
    limit: 450
  - name: teams
    each: team
    limit: 15000
    exceptions:
      - members: {team: research}
        limit: 25000
  - name: organisation
    limit: 50000
    thresholds: [50, 80, {at: 100, review: true}]
"""
DETECTORS = """
unattributed: {dimensions: [application, department], limit_percent: 5}
access:
  rules:
    - name: support is cost-optimised
      team: support
      tiers: [cost-optimised]
"""


@dataclass(frozen=True, order=True)
class Expected:
    """One alert: what it is about, and its whole history."""

    rule: str
    scope: tuple[tuple[str, str], ...]
    threshold: str
    history: tuple[str, ...]


def _alert(rule: str, threshold: str, *history: str, **scope: str) -> Expected:
    return Expected(rule, tuple(sorted(scope.items())), threshold, history)


ORDINARY = {
    _alert("budget", "50", "opened", user=OVER_CAP, budget="users"),
    _alert("budget", "80", "opened", user=OVER_CAP, budget="users"),
    _alert("forecast", "100", "opened", user=OVER_CAP, budget="users"),
    _alert("budget", "50", "opened", team="search", budget="teams"),
    _alert("budget", "80", "opened", team="search", budget="teams"),
    _alert("forecast", "100", "opened", team="search", budget="teams"),
    _alert("budget", "50", "opened", budget="organisation"),
    _alert("budget", "80", "opened", budget="organisation"),
    _alert("forecast", "100", "opened", budget="organisation"),
    _alert("executive_review", "100", "opened", budget="organisation"),
}
"""What an ordinary day brings: budgets that are used up, by one who spends as much every day."""
INCIDENTS = {
    _alert("budget", "100", "opened", user=OVER_CAP, budget="users"),
    _alert("budget", "50", "opened", "resolved", user=MISTAKEN, budget="users"),
    _alert("forecast", "100", "opened", "resolved", user=MISTAKEN, budget="users"),
    _alert("anomaly", "3 times the usual, 5 USD more", "opened", "resolved", team="research"),
    _alert(
        *("retry_storm", "20", "opened", "escalated", "resolved"),
        team="checkout",
        application="order-bot",
    ),
    _alert("retry_storm", "20", "opened", "resolved", **LOOPING),
    _alert("provider_outage", "20", "opened", "escalated", "resolved", provider="anthropic"),
    _alert(
        *("runaway", "2000 calls or 50 USD within 1 h", "opened", "resolved"),
        team="research",
        application="deep-agent",
        workflow=RUNAWAY,
    ),
    _alert(
        *("context_bloat", "3 times the norm", "opened", "resolved"),
        team="support",
        application="help-desk",
        use_case="answering",
    ),
    _alert(
        *("access", "support is cost-optimised: frontier", "opened"),
        team="support",
        user=NOT_ALLOWED,
    ),
}
EXPECTED = ORDINARY | INCIDENTS


def histories(transitions: Iterable[dict[str, Any]]) -> list[Expected]:
    """Each alert's history; its transitions are numbered without a gap, and none comes twice."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in sorted(transitions, key=lambda one: int(one["number"])):
        found.setdefault(one["alert_id"], []).append(one)
    for history in found.values():
        assert [one["number"] for one in history] == list(range(1, len(history) + 1)), history
    return sorted(
        Expected(
            history[0]["rule"],
            tuple(sorted(history[0]["scope"].items())),
            history[0]["threshold"],
            tuple(one["transition"] for one in history),
        )
        for history in found.values()
    )


def newest_day(now: datetime) -> datetime:
    """The newest 20th of a month that is over, UTC: always as far from its month's ends."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if now.day <= DAY_OF_MONTH:
        month = (month - MINUTE).replace(day=1, hour=0, minute=0)
    return month.replace(day=DAY_OF_MONTH)


@dataclass(frozen=True)
class SimulatedDay:
    """``day`` begins at midnight UTC. ``incidents``: whether anything goes wrong. ``thinned``:
    only one of so many ordinary calls is made; `prices` has to be told so, too."""

    day: datetime
    seed: int = 4
    incidents: bool = True
    thinned: int = 1

    def at(self, hour: int, minute: int = 0) -> datetime:
        """A time of the day."""
        return self.day + hour * HOUR + minute * MINUTE

    @property
    def month(self) -> datetime:
        """When its month begins, UTC."""
        return self.day.replace(day=1)

    @cached_property
    def records(self) -> list[Record]:
        """Everything from the first of the month on, in the order in which it was sent."""
        before = Traffic(self.day, -self.seed, self.thinned)
        sent = [*self._month(before)]
        today = Traffic(self.day, self.seed, self.thinned, self._down, self._prompt_factor)
        sent += _at_once(today.ordinary_day())
        if self.incidents:
            sent += _at_once(self._incidents(today))
            sent += self._mistake(today)
        sent.sort(key=lambda one: one[0])
        end = self.day + 24 * HOUR
        return [Record(at, event["team"].encode(), encode(event)) for at, event in sent if at < end]

    def between(self, start: datetime, end: datetime) -> list[Record]:
        """What was sent in this time."""
        return [one for one in self.records if one.at is not None and start <= one.at < end]

    def _month(self, before: Traffic) -> Iterator[tuple[datetime, Event]]:
        """What was before: an hour of a team in one call, and lately one of every use case."""
        for day in range(1 - DAY_OF_MONTH, 0):
            yield _costing(before, REPORTS, self.at(24 * day + 10), CAP_A_DAY, user=OVER_CAP)
            yield _costing(before, NOTEBOOK, self.at(24 * day + 11), 0.1, user=MISTAKEN)
            for hour, weight in enumerate(HOURS):
                at = self.at(24 * day + hour, 30)
                for team in DEPARTMENT:
                    works = [work for work in COMPANY if work.team == team]
                    cost = (
                        sum(work.calls * _usd_a_call(work) for work in works) * weight / sum(HOURS)
                    )
                    yield _costing(before, works[0], at, cost, user=None)
                    if day >= -NORM_DAYS:
                        yield from _at_once(before.call(work, at, **CHEAP) for work in works)

    def _down(self, work: Work, at: datetime) -> bool:
        down = self.incidents and self.at(14, 20) <= at < self.at(14, 30)
        return down and work.model.provider == "anthropic"

    def _prompt_factor(self, work: Work, at: datetime) -> int:
        bloated = self.incidents and self.at(15) <= at < self.at(16)
        return 5 if bloated and work == HELP_DESK else 1

    def _incidents(self, today: Traffic) -> Iterator[Event]:
        """All that is not an outage, a bloated context or a mistake."""
        for minute in range(10, 16):
            yield from self._storm(today, self.at(10, minute))
        # No longer than a window: who looks once a second for who repeats prompts may see any part
        # of a day that passes in a minute, and must not see two parts of one loop far apart.
        for second in range(0, 120, 2):
            at = self.at(*LOOP_ENDS) - timedelta(seconds=120 - second)
            yield today.call(COPY_DESK, at, prompt_hash=LOOP_PROMPT)
        tiny = CHEAP | {"input_tokens": 300}
        for second in range(0, 2400):
            at = self.at(11, 5) + timedelta(seconds=second)
            yield today.call(DEEP_AGENT, at, workflow=RUNAWAY, output_tokens=20, **tiny)
        for number in range(40):
            at = self.at(9) + 12 * number * MINUTE
            _, event = _costing(today, REPORTS, at, 0.18, user=OVER_CAP)
            yield event
        for minute in (30, 31, 35):
            frontier = {"provider": FRONTIER.provider, "model": FRONTIER.name}
            yield today.call(HELP_DESK, self.at(16, minute), user=NOT_ALLOWED, **frontier)

    def _storm(self, today: Traffic, start: datetime) -> Iterator[Event]:
        """A minute of requests that are turned away and tried again at once, six times each."""
        refused = {"status": "rate_limited", "error_code": "429", "input_tokens": 0}
        for second in (0, 10, 20, 30, 40):
            first = None
            for attempt in range(1, 7):
                at = start + timedelta(seconds=second + attempt)
                again = {} if first is None else {"retry_of": first}
                event = today.call(ORDER_BOT, at, output_tokens=0, **refused, **again)
                first = first or event["event_id"]
                yield event | {"attempt": attempt}

    def _mistake(self, today: Traffic) -> Iterator[tuple[datetime, Event]]:
        """An answer without an end, which the provider takes back in the evening."""
        at, event = _costing(today, NOTEBOOK, self.at(13, 20), 33, user=MISTAKEN)
        yield at, event
        yield self.at(19), void_of(event)


def turns(day: SimulatedDay) -> list[tuple[datetime, datetime]]:
    """From when to when each turn is: long where all is quiet, minutes where something begins."""
    minutes = {10: (10, 12, 14, 16), 14: (20, 21, 23, 25, 27, 30)}
    hours = (0, *range(9, 18), 19, 24)
    starts = [day.at(hour, minute) for hour in hours for minute in (0, *minutes.get(hour, ()))]
    return [(day.month, day.day), *pairwise(starts)]


def _at_once(events: Iterable[Event]) -> Iterator[tuple[datetime, Event]]:
    return ((event["occurred_at"], event) for event in events)


def _usd_a_call(work: Work) -> float:
    """On average: good enough to plan a day with."""
    return (work.prompt * work.model.input + work.answer * work.model.output) / 10**7


def _costing(
    traffic: Traffic, work: Work, at: datetime, dollars: float, **fields: Any
) -> tuple[datetime, Event]:
    """A call by this work's application whose answer costs so much."""
    tokens = round(dollars * 10**7) // (MINI.output * traffic.thinned)
    model = {"provider": MINI.provider, "model": MINI.name}
    long = {"use_case": "long answers", "input_tokens": 0, "output_tokens": tokens}
    return at, traffic.call(work, at, **model, **long, **fields)
