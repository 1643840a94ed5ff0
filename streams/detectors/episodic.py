"""What the rules without a calendar have in common: when they are judged, and what becomes of it.

A rule is judged at steps of event time, each time over a window that ends there. A load looks back
two hours; after that every step is judged as its time comes, and again when late data changes it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

from schemas.alerts import Alert, Rule
from sinks.clickhouse import ClickHouse
from streams.detectors.episodes import Episode, Episodes
from streams.detectors.report import NOTHING_TO_DO, ORGANISATION, Report
from streams.detectors.series import MINUTE, Key, Series, newest_minute
from streams.guard.concern import Accepted, AsOf

LOOKBACK = timedelta(hours=2)
"""Nothing is judged that is longer ago than this: a restart or a replay raises no old alarm."""
SLACK = 15
"""Slots kept beyond what is looked at: the newest minute may be ahead of the present by some."""


class Episodic(ABC):
    """One rule, as a concern of the guard. ``series``: each series of the rule, the one that tells
    what has changed first. Its slots are the steps that are judged."""

    name: str
    rule: Rule
    dimensions: tuple[str, ...]
    step = MINUTE
    threshold: str
    span: int
    """Steps of the window that is judged."""

    def __init__(self, *series: Series) -> None:
        self._series = series
        self._episodes = Episodes(self.step)
        self._changed: dict[Key, int] = {}
        self._judged: int | None = None

    @abstractmethod
    def new(self) -> Self:
        """The same rule without data and episodes."""

    @abstractmethod
    def levels(self, key: Key, steps: range) -> Iterable[tuple[int, int]]:
        """For each step the level that the rule holds at; 0 where it does not."""

    @abstractmethod
    def report(self, key: Key, step: int, episode: Episode) -> Report:
        """What is to be said of an episode at a step."""

    @abstractmethod
    def over(self, key: Key) -> str:
        """The title when an episode is over."""

    def fresh(self) -> Self:
        """The same rule with nothing counted yet; the names of its episodes stay."""
        other = self.new()
        other._episodes = self._episodes.copy()
        return other

    def remember(self, alert: Alert) -> None:
        """Take note of the newest transition of an alert that was published before."""
        if alert.rule == self.rule:
            key = tuple(alert.scope.get(name) for name in self.dimensions)
            self._episodes.remember(key, alert)

    def load(self, clickhouse: ClickHouse, at: AsOf, now: datetime) -> None:
        """Count what is kept of the ledger, as of the position."""
        newest = newest_minute(clickhouse, at, now)
        changed, *_ = [series.load(clickhouse, at, newest) for series in self._series]
        self._touch(changed)

    def apply(self, entry: Accepted) -> None:
        """Count an entry's rows."""
        changed, *_ = [series.add_rows(entry.rows) for series in self._series]
        self._touch(changed)

    def alerts(self, at: AsOf, now: datetime) -> Sequence[Alert]:
        """Opened for the episodes that go on, where something is new; resolved for those that are
        over."""
        found: list[Alert] = []
        for key, steps in self._due(self._series[0].slot_of(now)):
            told = None
            for step, level in self.levels(key, steps):
                news = self._episodes.judge(key, step, level, self.threshold)
                if news is not None:
                    told = step
                    found.append(self._alert(key, step, *news, at, now))
            episode = self._episodes.open.get(key)
            if episode is not None and told != steps[-1]:
                found.append(self._alert(key, steps[-1], episode, False, at, now))
        return found

    def counters(self) -> Mapping[str, int]:
        """The sums of every series; which slots are kept follows from the rows."""
        return {
            f"{self.name} {number} {name}": count
            for number, series in enumerate(self._series)
            for name, count in series.counters().items()
        }

    def awake(self, steps: range) -> Iterable[Key]:
        """The keys of which the mere passing of these steps may make something."""
        return self._series[0].keys(steps.start - self.span, steps.stop - 1)

    def _touch(self, changed: Mapping[Key, int]) -> None:
        for key, slot in changed.items():
            self._changed[key] = min(self._changed.get(key, slot), slot)

    def _due(self, newest: int) -> list[tuple[Key, range]]:
        """What is to be judged: keys, and the steps up to the newest one."""
        first = newest - LOOKBACK // self.step + 1
        if self._judged is None:
            self._judged = first - 1
            self._episodes.resume(first)
        changed, self._changed = self._changed, {}
        due = {key: max(first, slot) for key, slot in changed.items() if slot <= newest}
        passed = range(max(first, self._judged + 1), newest + 1)
        if passed:
            for key in (*self.awake(passed), *self._episodes.open):
                due[key] = min(due.get(key, passed.start), passed.start)
            self._judged = newest
            self._episodes.forget(first)
        # A wide scope comes after those in it: it may depend on what became of them.
        ordered = sorted(due.items(), key=lambda item: item[0].count(None))
        return [(key, range(start, newest + 1)) for key, start in ordered]

    def _alert(
        self, key: Key, step: int, episode: Episode, ended: bool, at: AsOf, now: datetime
    ) -> Alert:
        report = self.report(key, step, episode)
        named = {n: str(p) for n, p in zip(self.dimensions, key, strict=True) if p is not None}
        return Alert(
            rule=self.rule,
            scope=named or ORGANISATION,
            period=episode.period,
            threshold=episode.threshold,
            transition="resolved" if ended else "opened",
            level=episode.level,
            severity="info" if ended else "critical" if episode.level > 1 else "warning",
            title=(self.over(key) if ended else report.title)[:150],
            detail=report.detail,
            action=NOTHING_TO_DO if ended else report.action,
            value=report.value,
            limit=report.limit,
            unit=report.unit,
            since=episode.since,
            until=self._episodes.start_of(step) if ended else None,
            at=now,
            contributors=report.contributors,
            trend=report.trend,
            journal=at.journal,
            position=at.position,
        )
