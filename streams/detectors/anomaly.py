"""Spend anomalies: an hour that costs far more than the same hour of the past weeks.

The hour before and the hour after that one count too: what is expected is the largest of the three
medians. So neither a change of the clocks nor a lunch that moves raises an alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from fractions import Fraction

from streams.detectors.episodes import Episode
from streams.detectors.episodic import LOOKBACK, SLACK, Episodic
from streams.detectors.norm import median
from streams.detectors.report import (
    Report,
    contributor,
    largest,
    money,
    short,
    since,
    times,
)
from streams.detectors.series import DAY, Key, Series
from streams.detectors.settings_file import AnomalyRule
from streams.guard.money import pico, usd

STEP = timedelta(minutes=15)
WEEK = 7 * DAY // STEP
ORGANISATION: Key = (None,)
"""The key of all teams together."""
TREND_HOURS = 24


class Anomaly(Episodic):
    """Follows every team, and the organisation: of the latter those teams that are not anomalous
    themselves, so that nobody is told of one thing twice.

    A step is a quarter of an hour, and its window the hour that ends when it begins: nothing is
    judged before it is complete.
    """

    name = "anomaly"
    rule = "anomaly"
    dimensions = ("team",)
    step = STEP
    span = timedelta(hours=1) // STEP

    def __init__(self, rule: AnomalyRule) -> None:
        self._rule = rule
        self._factor = Fraction(rule.factor)
        self._excess = pico(rule.min_excess)
        self.threshold = f"{rule.factor} times the usual, {rule.min_excess} USD more"
        lookback = LOOKBACK // STEP + self.span + SLACK
        self._teams = Series(("team",), ("cost",), STEP, rule.weeks * WEEK + DAY // STEP + lookback)
        self._parts = Series(("team", "application"), ("calls", "cost"), STEP, lookback)
        super().__init__(self._teams, self._parts)

    def new(self) -> Anomaly:
        """The same rule without data and episodes."""
        return Anomaly(self._rule)

    def awake(self, steps: range) -> Iterable[Key]:
        """With every quarter of an hour, all that spent in the hour before."""
        return {*super().awake(steps), ORGANISATION}

    def levels(self, key: Key, steps: range) -> Iterator[tuple[int, int]]:
        """1 where the hour cost far more than expected."""
        for step in steps:
            apart = self._apart(key, step)
            actual = self._cost(key, step, apart)
            level = 0
            # What cannot be an anomaly whatever was usual needs no look at the past weeks.
            if actual >= self._excess and (
                (expected := self._expected(key, step, apart)) is not None
            ):
                far = actual >= self._factor * expected and actual - expected >= self._excess
                level = int(far)
            yield step, level

    def report(self, key: Key, step: int, episode: Episode) -> Report:
        """Expected, actual and excess; what the most was spent on."""
        apart = self._apart(key, step)
        actual, expected = self._cost(key, step, apart), self._expected(key, step, apart) or 0
        who = "The organisation" if key == ORGANISATION else f"Team {short(key[0])}"
        factor = f", {times(actual, expected)} times as much" if expected else ""
        excess = f"{factor}: {money(actual - expected)} more" if actual > expected else ""
        others = " Teams with an alert of their own are left out." if key == ORGANISATION else ""
        return Report(
            title=(
                f"{who} spent {money(actual)} within an hour, usually {money(expected)}, "
                f"{since(episode.since)}"
            ),
            detail=(
                f"Expected {money(expected)} (median of the same hour of up to {self._rule.weeks} "
                f"past weeks, or of the hour beside it), spent {money(actual)}"
                f"{excess}.{others}"
            ),
            action=(
                "Ask the largest contributors whether this is meant: a launch, a batch job, a "
                "loop. Stop what is not."
            ),
            value=usd(actual),
            limit=usd(expected),
            unit="USD an hour",
            contributors=largest(
                contributor(self._part_name(key, part), calls, cost)
                for part, (calls, cost) in self._parts_of(key, step, apart).items()
            ),
            trend=tuple(
                usd(self._cost(key, step - hour * self.span, apart))
                for hour in reversed(range(TREND_HOURS))
            ),
        )

    def over(self, key: Key) -> str:
        """The title when spend is usual again."""
        who = "the organisation" if key == ORGANISATION else f"team {short(key[0])}"
        return f"Spend of {who} is no longer far above the usual"

    def _touch(self, changed: Mapping[Key, int]) -> None:
        # A slot is complete, and part of a window, when the next step begins.
        later = {key: slot + 1 for key, slot in changed.items()}
        if later:
            later[ORGANISATION] = min(later.values())
        super()._touch(later)

    def _apart(self, key: Key, step: int) -> set[Key]:
        """The teams that are left out of the organisation: they have an alert of their own."""
        return self._episodes.going_on(step) if key == ORGANISATION else set()

    def _cost(self, key: Key, step: int, apart: set[Key]) -> int:
        """What the hour before a step cost, in pico-dollars."""
        first, last = step - self.span, step - 1
        if key != ORGANISATION:
            return self._teams.total(key, first, last)[0]
        return sum(
            cost
            for slot in range(first, last + 1)
            for team, (cost,) in self._teams.at(slot).items()
            if team not in apart
        )

    def _expected(self, key: Key, step: int, apart: set[Key]) -> int | None:
        """What the hour would usually cost; None where too little of the past is known."""
        known_since = self._teams.first_slot(None if key == ORGANISATION else key)
        weeks = [
            step - number * WEEK
            for number in range(1, self._rule.weeks + 1)
            if known_since is not None and known_since <= step - number * WEEK - 2 * self.span
        ]
        if len(weeks) < self._rule.min_weeks:
            return None
        return max(
            median([self._cost(key, week + shift, apart) for week in weeks])
            for shift in (-self.span, 0, self.span)
        )

    def _parts_of(self, key: Key, step: int, apart: set[Key]) -> dict[Key, tuple[int, int]]:
        parts: dict[Key, tuple[int, int]] = {}
        for slot in range(step - self.span, step):
            for part, (calls, cost) in self._parts.at(slot).items():
                if part[0] == key[0] or (key == ORGANISATION and part[:1] not in apart):
                    before = parts.get(part, (0, 0))
                    parts[part] = before[0] + calls, before[1] + cost
        return parts

    def _part_name(self, key: Key, part: Key) -> str:
        application = "(no application)" if part[1] is None else str(part[1])
        return f"{part[0]}: {application}" if key == ORGANISATION else application
