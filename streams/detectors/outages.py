"""Provider outages: many teams fail at one provider, or at one model of it, in a short window.

One team or one application that fails is a broken client, however often it does: without the one
that fails most, be it a team or an application, the others must fail as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from schemas.alerts import Alert
from streams.detectors.attempts import Attempts, Scope, Tally
from streams.detectors.storm_alerts import Outage, outage_alert
from streams.detectors.storm_episodes import Episode, StormEpisodes
from streams.detectors.storm_rule import StormRule
from streams.guard.concern import AsOf

TEAMS = 3
"""Teams that must fail: two may share a mistake, such as a library or a key; three rarely do."""
TEAM_FAILURES = 3
"""Failures of a team that count it as failing: one or two are an ordinary day's."""
LEVELS = (10,)
"""Times ``min_calls`` of failures: by then no retry has helped for a while."""


class Place(NamedTuple):
    """Where attempts fail: a provider, or only one ``model`` of it."""

    provider: str
    model: str | None


@dataclass(slots=True)
class Cell:
    """One minute's attempts of a team and application at a model, and the failed ones by error."""

    calls: int = 0
    failed: dict[str, Tally] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """How many failed."""
        return sum(tally.calls for tally in self.failed.values())


_Cells = dict[tuple[str, Scope], Cell]
"""Of one provider and minute, by model and caller."""


class Outages:
    """Follows every provider. Part of the concern of storms, which asks what is down."""

    def __init__(self, rule: StormRule) -> None:
        self._rule = rule
        self._minutes: dict[str, dict[int, _Cells]] = {}
        self._episodes: StormEpisodes[Place] = StormEpisodes(rule)
        self._added: dict[str, dict[int, _Cells]] = {}
        """What has come since the last judgement."""
        self._forgotten = 0

    def copy(self) -> Outages:
        """Another one with nothing counted yet, that knows the same names."""
        other = Outages(self._rule)
        other._episodes = self._episodes.copy()
        return other

    def remember(self, alert: Alert) -> None:
        """Take note of an outage that was announced before."""
        self._episodes.remember(Place(alert.scope["provider"], alert.scope.get("model")), alert)

    def resume(self, oldest: int) -> None:
        """Nothing before the minute ``oldest`` will be added."""
        self._episodes.resume(oldest)

    def add(self, attempts: Attempts) -> None:
        """Count these attempts."""
        for minutes in (self._minutes, self._added):
            cells = minutes.setdefault(attempts.provider, {}).setdefault(attempts.minute, {})
            cell = cells.setdefault((attempts.model, attempts.scope), Cell())
            cell.calls += attempts.tally.calls
            if attempts.outcome == "failed":
                cell.failed.setdefault(attempts.reason, Tally()).add(attempts.tally)

    def judge(self, now: datetime, *, goes_on: bool) -> None:
        """Look at the minutes whose windows have changed; ``goes_on``: by what has just come."""
        added, self._added = self._added, {}
        for provider, minutes in added.items():
            width = self._rule.window_minutes
            changed = {after for minute in minutes for after in range(minute, minute + width)}
            for minute in sorted(changed & self._minutes[provider].keys()):
                for place in self._failing(provider, minute):
                    news = goes_on and self._mostly_failed(place, minutes.get(minute, {}))
                    self._episodes.see(place, minute, now, may_begin=True, goes_on=news)

    def holding(self, minute: int) -> Sequence[Place]:
        """What is down in this minute, or was not up again for long enough."""
        return self._episodes.holding(minute)

    def forget(self, through: int) -> None:
        """Drop the minutes up to this one."""
        self._forgotten = through
        for minutes in self._minutes.values():
            for old in [minute for minute in minutes if minute <= through]:
                del minutes[old]
        self._minutes = {provider: kept for provider, kept in self._minutes.items() if kept}
        self._episodes.forget(through)

    def alerts(self, at: AsOf, now: datetime) -> Iterator[Alert]:
        """How the outages stand of which something is new."""
        for place, episode, over in self._episodes.due(now):
            outage = self._outage(place, episode)
            level = self._rule.level(outage.failed.calls, LEVELS)
            yield outage_alert(place.provider, place.model, episode, outage, level, over, at, now)

    def _failing(self, provider: str, minute: int) -> list[Place]:
        """Of what the minute is evidence: the provider, or those of its models that fail."""
        known = self._minutes[provider]
        here = known[minute]
        if not any(cell.failed for cell in here.values()):
            return []
        by_model: dict[str, list[tuple[Scope, Cell]]] = {}
        for cells in (known.get(m, {}) for m in self._rule.window(minute)):
            for (model, scope), cell in cells.items():
                by_model.setdefault(model, []).append((scope, cell))
        models = {
            model
            for model, cells in by_model.items()
            if self._mostly_failed(Place(provider, model), here) and _many_fail(cells, self._rule)
        }
        whole = Place(provider, None)
        everything = [cell for cells in by_model.values() for cell in cells]
        all_of_it = self._mostly_failed(whole, here) and _many_fail(everything, self._rule)
        one_of_many = len(models) == 1 and any(
            not self._rule.mostly(failed, calls) and calls > 0
            for failed, calls in map(_sums, by_model.values())
        )
        going_on = self._episodes.open
        # What began as an outage of the provider goes on as one until its last model is up again.
        if whole in going_on and (all_of_it or models):
            return [whole]
        if not all_of_it or one_of_many:
            return [Place(provider, model) for model in sorted(models)]
        begun = (Place(provider, model) for model in sorted(models))
        return [whole, *(place for place in begun if place in going_on)]

    def _mostly_failed(self, place: Place, cells: _Cells) -> bool:
        failed, calls = _sums(
            (scope, cell) for (model, scope), cell in cells.items() if place.model in {None, model}
        )
        return self._rule.mostly(failed, calls)

    def _outage(self, place: Place, episode: Episode) -> Outage:
        outage = Outage()
        kept = self._minutes.get(place.provider, {})
        first = episode.first - self._rule.window_minutes + 1
        outage.lately = first <= self._forgotten
        for minute in (m for m in kept if first <= m <= episode.last):
            for (model, scope), cell in kept[minute].items():
                if place.model in {None, model}:
                    outage.add(minute, scope.team, cell.calls, cell.failed)
        return outage


def _sums(cells: Iterable[tuple[Scope, Cell]]) -> tuple[int, int]:
    """Failures and calls."""
    failed = calls = 0
    for _, cell in cells:
        failed += cell.failures
        calls += cell.calls
    return failed, calls


def _many_fail(cells: Collection[tuple[Scope, Cell]], rule: StormRule) -> bool:
    failed, calls = _sums(cells)
    if not rule.enough(failed, calls):
        return False
    teams: dict[object, list[int]] = {}
    applications: dict[object, list[int]] = {}
    for scope, cell in cells:
        named = scope if scope.application is None else scope.application
        for counts in (
            teams.setdefault(scope.team, [0, 0]),
            applications.setdefault(named, [0, 0]),
        ):
            counts[0] += cell.failures
            counts[1] += cell.calls
    if sum(counts[0] >= TEAM_FAILURES for counts in teams.values()) < TEAMS:
        return False
    for parts in (teams, applications):
        most_failed, its_calls = max(parts.values())
        others = failed - most_failed
        if others < TEAM_FAILURES or not rule.mostly(others, calls - its_calls):
            return False
    return True
