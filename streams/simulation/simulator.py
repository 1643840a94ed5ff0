"""The guard's concerns over rows of the past: time is that of the rows, and there is no topic.

Rows are judged five minutes at a time, and by the minute during a storm or an outage. That is what
the times of transitions are exact to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import polars as pl

from schemas.alerts import Alert, Rule
from streams.alerts.history import Histories
from streams.detectors.repeats import Repeats
from streams.detectors.storms import Storms
from streams.guard.concern import Accepted, AsOf, Concern

MINUTE = timedelta(minutes=1)
STEP = 5 * MINUTE
BY_MINUTE = frozenset[Rule]({"retry_storm", "provider_outage"})
SETTLES = timedelta(hours=2)
"""So long after its last rows nothing begins any more: no window that begins an alert is longer."""
JOURNAL = "simulation"

C = TypeVar("C", bound=Concern)


class Simulator:
    """One run over rows that come in order of their minutes.

    ``judged`` is called with the event time after everything of a step was judged.
    """

    def __init__(
        self,
        concerns: Sequence[Concern],
        judged: Callable[[datetime], None] = lambda now: None,
    ) -> None:
        self.histories = Histories()
        self._concerns = concerns
        self._judged = judged
        self._position = -1
        self._now: datetime | None = None
        self._busy: datetime | None = None
        """When the newest rows were."""
        self._going_on: dict[str, Alert] = {}
        """What holds, by alert, and ends as time goes by: not with a period of the calendar."""

    def concern(self, kind: type[C]) -> C:
        """The concern of this kind."""
        (found,) = [c for c in self._concerns if isinstance(c, kind)]
        return found

    def warm_up(self, rows: pl.DataFrame) -> None:
        """Count rows (`ROW_SCHEMA`) of the time before, however many; nothing is judged yet."""
        if not rows.is_empty():
            self._apply(rows, _minutes(rows)[-1])

    def begin(self, now: datetime) -> Iterator[Alert]:
        """Give the alerts that hold after the time before; from here on time passes."""
        yield from self._judge(now)

    def feed(
        self, rows: pl.DataFrame, repeats: Mapping[datetime, Sequence[Repeats]] | None = None
    ) -> Iterator[Alert]:
        """Count rows (`ROW_SCHEMA`, by minute) and give the transitions that follow, in order.

        A minute must not be split over two calls. ``repeats``: who repeated prompts, by the minute
        at which that was asked.
        """
        minutes = _minutes(rows)
        asked = sorted((repeats or {}).keys() & set(minutes))
        start = 0
        while start < len(minutes):
            first = minutes[start]
            yield from self.pass_time(first)
            until = min(first + self._step, _next_step(first))
            coming = bisect_left(asked, first)
            if coming < len(asked):
                until = min(until, asked[coming] + MINUTE)
            end = bisect_left(minutes, until)
            now = minutes[end - 1]
            self._apply(rows.slice(start, end - start), now)
            if repeats and now in repeats:
                self.concern(Storms).observe(repeats[now], now)
            yield from self._judge(now)
            start = end

    def pass_time(self, until: datetime) -> Iterator[Alert]:
        """Nothing comes up to, not including, this moment: the transitions that this makes."""
        while self._now is not None and self._busy is not None:
            now = self._now + self._step
            if now >= until or not (self._going_on or now <= self._busy + SETTLES):
                return
            yield from self._judge(now)

    @property
    def _step(self) -> timedelta:
        by_minute = any(alert.rule in BY_MINUTE for alert in self._going_on.values())
        return MINUTE if by_minute else STEP

    def _apply(self, rows: pl.DataFrame, now: datetime) -> None:
        self._position += 1
        self._busy = now
        entry = Accepted(AsOf(JOURNAL, self._position), JOURNAL, (), rows, now)
        for concern in self._concerns:
            concern.apply(entry)

    def _judge(self, now: datetime) -> Iterator[Alert]:
        self._now = now
        at = AsOf(JOURNAL, self._position)
        for concern in self._concerns:
            for state in concern.alerts(at, now):
                self._note(state)
                known = self.histories.get(state.alert_id)
                if known is not None:
                    alert = known.following(state)
                else:
                    alert = state if state.transition == "opened" else None
                if alert is not None and self.histories.accept(alert):
                    yield alert
        for alert in list(self._going_on.values()):
            if alert.until is not None and alert.until <= now:
                del self._going_on[alert.alert_id]
        self._judged(now)

    def _note(self, state: Alert) -> None:
        if state.transition == "resolved":
            self._going_on.pop(state.alert_id, None)
        elif state.until is None or state.rule == "burn_rate":
            self._going_on[state.alert_id] = state


def _minutes(rows: pl.DataFrame) -> list[datetime]:
    minutes: list[datetime] = rows["minute"].to_list()
    return minutes


def _next_step(moment: datetime) -> datetime:
    return moment + STEP - timedelta(seconds=moment.timestamp() % STEP.total_seconds())
