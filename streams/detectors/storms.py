"""Retry storms: many failed or repeated attempts of one team and application in a short window.

An attempt is wasted if it failed (error, timeout, rate limited, cancelled), repeats an earlier one,
or sends a prompt again that was just sent. A minute of event time is evidence if, in the window
that ends with it, at least ``min_calls`` attempts were wasted, they are at least ``share_percent``
of all, and that is so in the minute itself too: the time after a storm is none. What a provider's
outage does to its clients is no storm of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.alerts import Alert
from sinks.clickhouse import ClickHouse
from streams.detectors.attempts import (
    CLOCK_MINUTES,
    Attempts,
    Scope,
    Tally,
    attempts_as_of,
    attempts_of,
    unix_minute,
)
from streams.detectors.outages import Outages, Place
from streams.detectors.repeats import Repeats
from streams.detectors.storm_alerts import Waste, storm_alert
from streams.detectors.storm_episodes import Episode, StormEpisodes, minute_start
from streams.detectors.storm_rule import KEEP_MINUTES, StormRule
from streams.guard.concern import Accepted, AsOf

LEVELS = (5, 25)
"""Times ``min_calls`` of wasted attempts that make a storm worse."""
OUTAGE_PERCENT = 80
"""Of a client's wasted attempts at a provider that is down: it would be well but for that."""


@dataclass(slots=True)
class Slot:
    """One minute of one scope: all attempts, and the wasted ones."""

    calls: int = 0
    wasted: dict[tuple[Place, str], Tally] = field(default_factory=dict)
    """By provider and model, and by error."""
    repeats: Tally = field(default_factory=Tally)
    """Calls that send a prompt again; attempts that say that they are one are among them."""
    looped_at: Place | None = None

    @property
    def failures(self) -> int:
        """Attempts that failed, or say that they repeat another."""
        return sum(tally.calls for tally in self.wasted.values())

    def by_cause(self) -> dict[str, Tally]:
        """What was wasted, by `provider model: error`. No attempt counts twice: where prompts were
        repeated more often than attempts say, it is these."""
        if self.looped_at is not None and self.repeats.calls > self.failures:
            where = self.looped_at
            return {f"{where.provider} {where.model}: repeated prompt": self.repeats}
        return {
            f"{place.provider} {place.model}: {reason}": tally
            for (place, reason), tally in self.wasted.items()
        }


class Storms:
    """Follows every team and application, and every provider. Two rules, as one asks the other."""

    name = "storms"

    def __init__(self, rule: StormRule) -> None:
        self._rule = rule
        self._slots: dict[Scope, dict[int, Slot]] = {}
        self._episodes: StormEpisodes[Scope] = StormEpisodes(rule)
        self._outages = Outages(rule)
        self._prompts: dict[Scope, tuple[str, int]] = {}
        """The prompt that a scope repeats in its storm, and how often it was sent in a window."""
        self._forgotten = 0

    def fresh(self) -> Storms:
        """The same rule with nothing counted yet; the names of storms stay."""
        storms = Storms(self._rule)
        storms._episodes = self._episodes.copy()
        storms._outages = self._outages.copy()
        return storms

    def remember(self, alert: Alert) -> None:
        """Take note of a storm or outage that was announced before, so that it keeps its name."""
        if alert.rule == "retry_storm":
            scope = Scope(alert.scope["team"], alert.scope.get("application"))
            self._episodes.remember(scope, alert)
        elif alert.rule == "provider_outage":
            self._outages.remember(alert)

    def load(self, clickhouse: ClickHouse, at: AsOf, now: datetime) -> None:
        """The last `KEEP_MINUTES`, as of the position."""
        self.take_up(attempts_as_of(clickhouse, at, *self._bounds(now)), now)

    def take_up(self, attempts: Iterable[Attempts], now: datetime) -> None:
        """Begin with these attempts: when they came is not known, only when they were made."""
        forgotten, _ = self._bounds(now)
        self._episodes.resume(forgotten + 1)
        self._outages.resume(forgotten + 1)
        self._count(attempts, now, goes_on=False)

    def apply(self, entry: Accepted) -> None:
        """Add an entry's rows and look at the scopes that they touch."""
        self._count(attempts_of(entry.rows), entry.now, goes_on=True)

    def watched(self, now: datetime) -> tuple[datetime, datetime]:
        """The window, first and last minute (UTC), that repeats are to be asked for."""
        window = self._rule.window(unix_minute(now))
        return minute_start(window[0]), minute_start(window[-1])

    def observe(self, repeats: Iterable[Repeats], now: datetime) -> None:
        """Take note of who repeats prompts. The newest minutes are told of again, with more."""
        for seen in repeats:
            bounds = range(self._forgotten + 1, unix_minute(now) + CLOCK_MINUTES + 1)
            minutes = {m: tally for m, tally in seen.minutes.items() if m in bounds}
            if not minutes:
                continue
            newest = max(minutes)
            slots = self._slots.setdefault(seen.scope, {})
            came = False
            for minute, tally in minutes.items():
                slot = slots.setdefault(minute, Slot())
                if tally.calls > slot.repeats.calls:
                    slot.repeats, slot.looped_at = tally, Place(seen.provider, seen.model)
                    came = came or minute == newest
            self._look_at(seen, newest, now, goes_on=came)

    def alerts(self, at: AsOf, now: datetime) -> Iterator[Alert]:
        """How outages and storms stand, where something is new."""
        yield from self._outages.alerts(at, now)
        for scope, episode, over in self._episodes.due(now):
            waste, level = self._waste(scope, episode)
            yield storm_alert(scope, episode, waste, level, over, at, now)
            if over and scope not in self._episodes.open:
                self._prompts.pop(scope, None)

    def counters(self) -> Mapping[str, int]:
        """Nothing to compare. What is kept depends on when it is looked at, as minutes are
        forgotten, and prompts come from the archive; the sums of all calls are compared by
        `Totals`."""
        return {}

    def _bounds(self, now: datetime) -> tuple[int, int]:
        """The newest minute that is forgotten, and the newest one that is believed."""
        minute = unix_minute(now)
        return max(0, minute - KEEP_MINUTES), minute + CLOCK_MINUTES

    def _count(self, attempts: Iterable[Attempts], now: datetime, *, goes_on: bool) -> None:
        forgotten, newest = self._bounds(now)
        added: dict[Scope, dict[int, list[int]]] = {}
        for one in attempts:
            if not forgotten < one.minute <= newest:
                continue
            slot = self._slots.setdefault(one.scope, {}).setdefault(one.minute, Slot())
            slot.calls += one.tally.calls
            counts = added.setdefault(one.scope, {}).setdefault(one.minute, [0, 0])
            counts[0] += one.tally.calls
            if one.is_wasted:
                cause = Place(one.provider, one.model), one.reason
                slot.wasted.setdefault(cause, Tally()).add(one.tally)
                counts[1] += one.tally.calls
            self._outages.add(one)
        self._forget(forgotten)
        self._outages.judge(now, goes_on=goes_on)
        for scope, minutes in added.items():
            slots = self._slots[scope]
            width = self._rule.window_minutes
            changed = {after for minute in minutes for after in range(minute, minute + width)}
            for minute in sorted(changed & slots.keys()):
                if self._is_evidence(slots, minute):
                    calls, wasted = minutes.get(minute, (0, 0))
                    news = goes_on and self._rule.mostly(wasted, calls)
                    self._see(scope, minute, now, goes_on=news)

    def _is_evidence(self, slots: Mapping[int, Slot], minute: int) -> bool:
        here = slots[minute]
        if not self._rule.mostly(here.failures, here.calls):
            return False
        window = [slots[m] for m in self._rule.window(minute) if m in slots]
        return self._rule.enough(
            sum(slot.failures for slot in window), sum(slot.calls for slot in window)
        )

    def _see(self, scope: Scope, minute: int, now: datetime, *, goes_on: bool) -> None:
        may_begin = self._excuse(scope, minute) is None
        self._episodes.see(scope, minute, now, may_begin=may_begin, goes_on=goes_on)

    def _look_at(self, seen: Repeats, minute: int, now: datetime, *, goes_on: bool) -> None:
        slots = self._slots[seen.scope]
        window = self._rule.window(minute)
        calls = max(seen.calls, sum(slots[m].calls for m in window if m in slots))
        if seen.repeated < self._rule.min_calls or not self._rule.mostly(seen.prompt_calls, calls):
            return
        self._see(seen.scope, minute, now, goes_on=goes_on)
        if seen.scope in self._episodes.open:
            _, most = self._prompts.get(seen.scope, ("", 0))
            if seen.prompt_calls > most:
                self._prompts[seen.scope] = seen.prompt, seen.prompt_calls

    def _excuse(self, scope: Scope, minute: int) -> str | None:
        """A provider that is down, where such are the cause of what is wasted in the window."""
        down = self._outages.holding(minute)
        if not down:
            return None
        slots = self._slots[scope]
        window = [slots[m] for m in self._rule.window(minute) if m in slots]
        wasted = sum(max(slot.failures, slot.repeats.calls) for slot in window)
        there = sum(
            tally.calls
            for slot in window
            for (at, _), tally in slot.wasted.items()
            if at in down or Place(at.provider, None) in down
        )
        return down[0].provider if 0 < wasted * OUTAGE_PERCENT <= there * 100 else None

    def _waste(self, scope: Scope, episode: Episode) -> tuple[Waste, int]:
        """What the storm has wasted, and its level, for which an outage's part does not count."""
        waste, own = Waste(prompt=self._prompts.get(scope)), 0
        slots = self._slots.get(scope, {})
        first = episode.first - self._rule.window_minutes + 1
        waste.lately = first <= self._forgotten
        for minute in sorted(m for m in slots if first <= m <= episode.last):
            slot = slots[minute]
            by_cause = slot.by_cause()
            waste.add(minute, slot.calls, by_cause)
            provider = self._excuse(scope, minute)
            if provider is None:
                own += Tally.total(by_cause.values()).calls
            else:
                waste.provider_down = provider
        return waste, self._rule.level(own, LEVELS)

    def _forget(self, through: int) -> None:
        if through <= self._forgotten:
            return
        self._forgotten = through
        for slots in self._slots.values():
            for old in [minute for minute in slots if minute <= through]:
                del slots[old]
        self._slots = {scope: slots for scope, slots in self._slots.items() if slots}
        self._episodes.forget(through)
        self._outages.forget(through)
