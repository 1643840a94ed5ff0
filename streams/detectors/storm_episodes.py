"""Episodes of storms and outages: minutes of evidence that are close together, under one name.

An episode is named by the minute of its first evidence, and keeps that name whatever late data says
of the time before, and over restarts: what was published is remembered. It is over when it has been
quiet for long enough, by event time. Minutes are counted from 1970.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from schemas.alerts import Alert
from streams.detectors.attempts import unix_minute
from streams.detectors.storm_rule import StormRule

Key = TypeVar("Key", bound=Hashable)

TELL_EVERY = timedelta(seconds=1)
"""An episode that goes on is told of no more often: to add up what it has cost takes a while."""


@dataclass(slots=True)
class Episode:
    """Evidence from ``first`` to ``last``; ``name`` and ``threshold`` are those of its alert."""

    name: int
    threshold: str
    first: int
    last: int
    evident_at: datetime | None
    """When the newest evidence came, event time; None: it was remembered, and none has come yet."""
    told_at: datetime | None = None
    """When it was told of how it stands, event time."""

    @property
    def since(self) -> datetime:
        """When it began, UTC."""
        return minute_start(self.name)

    @property
    def until(self) -> datetime:
        """The end of its newest evidence, UTC."""
        return minute_start(self.last + 1)


class Standing(NamedTuple, Generic[Key]):
    """How an episode stands: it goes on, or it is over."""

    key: Key
    episode: Episode
    over: bool


def minute_start(minute: int) -> datetime:
    """When a minute begins, UTC."""
    return datetime.fromtimestamp(minute * 60, UTC)


class StormEpisodes(Generic[Key]):
    """The episodes of one rule: those that go on, by key, and the ended ones, for a while."""

    def __init__(self, rule: StormRule) -> None:
        self._rule = rule
        self._quiet = timedelta(seconds=rule.quiet_seconds)
        self.open: dict[Key, Episode] = {}
        self._past: list[tuple[Key, Episode]] = []
        self._ended: dict[Key, int] = {}
        self._news: list[Standing[Key]] = []
        self._touched: dict[Key, None] = {}
        """Open ones of which there is something to tell, in order."""

    def copy(self) -> StormEpisodes[Key]:
        """Another one that knows the same names."""
        other: StormEpisodes[Key] = StormEpisodes(self._rule)
        other.open = {key: replace(episode) for key, episode in self.open.items()}
        other._past, other._ended = list(self._past), dict(self._ended)
        return other

    def remember(self, key: Key, alert: Alert) -> None:
        """Take note of the newest published transition of an episode."""
        name = unix_minute(datetime.fromisoformat(alert.period))
        if alert.transition != "resolved":
            # Its own first minute is evidence of it too, where that is still known.
            self.open[key] = Episode(name, alert.threshold, name, name - 1, None)
            return
        last = name if alert.until is None else unix_minute(alert.until) - 1
        self._past.append((key, Episode(name, alert.threshold, name, last, alert.until)))
        self._ended[key] = max(last, self._ended.get(key, last))

    def resume(self, oldest: int) -> None:
        """Before the first minute is seen, which is not before ``oldest``: what was before is not
        known, so no episode ends for it."""
        for episode in self.open.values():
            episode.last = max(episode.last, oldest - 1)

    def see(self, key: Key, minute: int, now: datetime, *, may_begin: bool, goes_on: bool) -> None:
        """The minute is evidence; minutes of a key come in order, but for late data.

        ``may_begin``: whether it may begin an episode. ``goes_on``: what has just come says so, not
        only what was known before. An episode of which more comes goes on, however late that is:
        who sends it may be behind, and must not be told of each part as of another storm.
        """
        gap = self._rule.gap_minutes
        episode = self.open.get(key)
        if episode is not None and minute - episode.last > gap:
            self._end(key)
            episode = None
        came = max(now, minute_start(minute))
        if not goes_on:
            came = min(came, minute_start(minute + 1))
        if episode is None:
            episode = self._over_too_early(key, minute)
        if episode is None:
            if not may_begin or minute <= self._ended.get(key, -1):
                return
            episode = Episode(minute, str(self._rule.min_calls), minute, minute, came)
            self.open[key] = episode
        elif minute < episode.first - gap or minute <= self._ended.get(key, -1):
            return
        episode.first = min(episode.first, minute)
        if minute > episode.last or (minute == episode.last and goes_on):
            episode.last = minute
            episode.evident_at = max(came, episode.evident_at or came)
        self._touched[key] = None

    def due(self, now: datetime) -> list[Standing[Key]]:
        """How those episodes stand of which something is new, by what was seen or by time alone."""
        for key in list(self._touched):
            episode = self.open[key]
            if episode.told_at is None or now - episode.told_at >= TELL_EVERY:
                del self._touched[key]
                episode.told_at = now
                self._news.append(Standing(key, episode, False))
        for key, episode in list(self.open.items()):
            if episode.evident_at is None:
                episode.evident_at = now
            if now - episode.evident_at >= self._quiet:
                self._end(key)
        news, self._news = self._news, []
        return news

    def holding(self, minute: int) -> list[Key]:
        """The keys of which an episode goes on in this minute, or was not over yet."""
        width, gap = self._rule.window_minutes, self._rule.gap_minutes
        return [
            key
            for key, episode in (*self.open.items(), *self._past)
            if episode.first - width < minute <= episode.last + gap
        ]

    def forget(self, through: int) -> None:
        """No minute up to this one will be seen any more."""
        self._past = [(key, past) for key, past in self._past if past.last > through]
        self._ended = {key: last for key, last in self._ended.items() if last > through}

    def _over_too_early(self, key: Key, minute: int) -> Episode | None:
        """The episode that this minute, which comes late, belongs to: it goes on after all."""
        gap = self._rule.gap_minutes
        for known, episode in self._past:
            if known == key and episode.last < minute <= episode.last + gap:
                self._past.remove((key, episode))
                self.open[key] = episode
                return episode
        return None

    def _end(self, key: Key) -> None:
        episode = self.open.pop(key)
        if key in self._touched:
            del self._touched[key]
            self._news.append(Standing(key, episode, False))
        self._past.append((key, episode))
        self._ended[key] = episode.last
        self._news.append(Standing(key, episode, True))
