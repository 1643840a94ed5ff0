"""Episodes: from when to when a rule without a calendar held for a key, and what each is called.

An episode is named by the step of event time that it first held at. It keeps that name over
restarts, because what was published is remembered, and ends when it has not held for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from schemas.alerts import Alert
from streams.detectors.series import Key

SETTLE = timedelta(minutes=10)
"""How long a rule must not have held before its episode is over: a figure that plays around its
limit is one alert, not ten."""


@dataclass(slots=True)
class Episode:
    """One episode. ``period`` and ``threshold`` are those of its alert; steps count from 1970."""

    period: str
    threshold: str
    first: int
    last: int
    """The newest step that it held at."""
    level: int

    @property
    def since(self) -> datetime:
        """When it began, UTC."""
        return datetime.fromisoformat(self.period)


class Episodes:
    """The episodes of one rule that are going on, by key, and where the newest ones ended."""

    def __init__(self, step: timedelta) -> None:
        self._seconds = int(step.total_seconds())
        self._settle = max(1, SETTLE // step)
        self.open: dict[Key, Episode] = {}
        self._ended: dict[Key, tuple[int, int]] = {}
        """The first step of the newest episode that is over, and the one that it was over at."""

    def copy(self) -> Episodes:
        """Another one that knows the same."""
        other = Episodes(timedelta(seconds=self._seconds))
        other.open = {key: replace(episode) for key, episode in self.open.items()}
        other._ended = dict(self._ended)
        return other

    def remember(self, key: Key, alert: Alert) -> None:
        """Take note of an episode's newest published transition."""
        first = self._step_of(datetime.fromisoformat(alert.period))
        if alert.transition == "resolved":
            ended = first, self._step_of(alert.until or alert.since)
            self._ended[key] = max(ended, self._ended.get(key, ended))
            return
        if key not in self.open or self.open[key].first < first:
            self.open[key] = Episode(alert.period, alert.threshold, first, first, alert.level)

    def resume(self, first: int) -> None:
        """Before the first judgement, which looks back to ``first``: what was before is not known,
        so nothing ends for it."""
        for episode in self.open.values():
            episode.last = max(episode.last, first - 1)

    def forget(self, before: int) -> None:
        """No step before this one will be judged any more."""
        self._ended = {key: ended for key, ended in self._ended.items() if ended[1] >= before}

    def going_on(self, step: int) -> set[Key]:
        """The keys that had an episode at a step."""
        over = {key for key, (first, end) in self._ended.items() if first <= step < end}
        return over | {key for key, episode in self.open.items() if episode.first <= step}

    def judge(self, key: Key, step: int, level: int, threshold: str) -> tuple[Episode, bool] | None:
        """The rule holds at ``level``, 0 for not at all. An episode that begins, becomes worse or
        (True) is over by that; None where nothing is new."""
        episode = self.open.get(key)
        if level == 0:
            if episode is None or step - episode.last < self._settle:
                return None
            self._ended[key] = episode.first, step
            return self.open.pop(key), True
        if episode is None:
            if key in self._ended and step <= self._ended[key][1]:
                return None
            episode = Episode(self.start_of(step).isoformat(), threshold, step, step, level)
            self.open[key] = episode
            return episode, False
        episode.last = max(episode.last, step)
        if level <= episode.level:
            return None
        episode.level = level
        return episode, False

    def start_of(self, step: int) -> datetime:
        """When a step begins, UTC."""
        return datetime.fromtimestamp(step * self._seconds, UTC)

    def _step_of(self, moment: datetime) -> int:
        return int(moment.timestamp()) // self._seconds
