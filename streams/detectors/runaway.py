"""Runaways: a workflow that calls or spends more within the last hour than one should."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fnmatch import fnmatchcase

from sinks.amounts import duration_text
from streams.detectors.episodes import Episode
from streams.detectors.episodic import LOOKBACK, SLACK, Episodic
from streams.detectors.report import Report, contributor, counted, money, short, since
from streams.detectors.series import MINUTE, Key, Series
from streams.detectors.settings_file import RunawayRule
from streams.guard.money import pico, usd

WORSE = 10
"""At so many times a limit it is critical."""
POINTS = 12


class Runaway(Episodic):
    """Follows every workflow: by team, application and workflow. Calls without one do not count."""

    name = "runaway"
    rule = "runaway"
    dimensions = ("team", "application", "workflow")

    def __init__(self, rule: RunawayRule) -> None:
        self._rule = rule
        self._cost = pico(rule.cost)
        self.span = rule.within // MINUTE
        self._within = duration_text(rule.within)
        self.threshold = f"{rule.calls} calls or {rule.cost} USD within {self._within}"
        keep = self.span + LOOKBACK // MINUTE + SLACK
        super().__init__(
            Series(self.dimensions, ("calls", "cost"), MINUTE, keep, under=self._counted)
        )

    def new(self) -> Runaway:
        """The same rule without data and episodes."""
        return Runaway(self._rule)

    def awake(self, steps: range) -> Iterable[Key]:
        """Only what comes can make a sum larger: the keys of these minutes themselves."""
        return self._series[0].keys(steps.start, steps.stop - 1)

    def levels(self, key: Key, steps: range) -> Iterator[tuple[int, int]]:
        """1 from a limit on, 2 from ten times a limit on."""
        for step, (calls, cost) in self._series[0].sliding(key, steps, self.span):
            level = 0
            if calls >= self._rule.calls or cost >= self._cost:
                level = 1
            if calls >= self._rule.calls * WORSE or cost >= self._cost * WORSE:
                level = 2
            yield step, level

    def report(self, key: Key, step: int, episode: Episode) -> Report:
        """Who runs away, how much it has called and spent, and what to do."""
        team, application, workflow = key
        calls, cost = self._series[0].total(key, step - self.span + 1, step)
        # Of the two the one that is further over its limit.
        by_cost = cost * self._rule.calls > calls * self._cost
        spent = f", {money(cost)}" if cost else ""
        part = f"Application {short(application, 80)}. " if application is not None else ""
        return Report(
            title=(
                f"Workflow {short(workflow)} of team {short(team)}: {counted(calls)}{spent} "
                f"within {self._within}, {since(episode.since)}"
            ),
            detail=(
                f"{part}A workflow may make {self._rule.calls:,} calls and spend "
                f"{money(self._cost)} within {self._within}."
            ),
            action=(
                "Stop the workflow, and give its loop a limit of steps and of money. If it is "
                "meant to run like this, name it under `runaway: ignore:` in the detectors file."
            ),
            value=usd(cost) if by_cost else Decimal(calls),
            limit=self._rule.cost if by_cost else Decimal(self._rule.calls),
            unit="USD" if by_cost else "calls",
            contributors=(contributor(str(workflow), calls, cost),),
            trend=tuple(self._trend(key, step, by_cost=by_cost)),
        )

    def over(self, key: Key) -> str:
        """The title when it is back under its limits."""
        return f"Workflow {short(key[2])} of team {short(key[0])} is back under its limits"

    def _counted(self, key: Key) -> Key | None:
        _, application, workflow = key
        if workflow is None:
            return None
        names = [str(name) for name in (application, workflow) if name is not None]
        ignored = any(fnmatchcase(n, pattern) for pattern in self._rule.ignore for n in names)
        return None if ignored else key

    def _trend(self, key: Key, step: int, *, by_cost: bool) -> Iterator[Decimal]:
        width = max(1, self.span // POINTS)
        for last in range(step - width * (POINTS - 1), step + 1, width):
            calls, cost = self._series[0].total(key, last - width + 1, last)
            yield usd(cost) if by_cost else Decimal(calls)
