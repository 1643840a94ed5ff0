"""Unattributed spend: the part of a day's cost that nobody can be asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

from streams.detectors.daily import DAYS, Daily, Finding
from streams.detectors.report import ORGANISATION, Report, contributor, counted, largest, money
from streams.detectors.series import DAY, Key, Series
from streams.detectors.settings_file import UnattributedRule
from streams.guard.money import pico

LEAST_CALLS = 1000
"""Where no cost is known, calls without an attribution that are worth an alert."""
WORSE = 3
"""At so many times the limit it is critical."""
CLEAR = Fraction(4, 5)
"""Below this part of the limit it is resolved; in between it stays as it is, so that a share that
plays around the limit is one alert."""


class Unattributed(Daily):
    """Follows the share of each UTC day, by cost; by calls on a day without any known cost."""

    name = "unattributed"
    rule = "unattributed"

    def __init__(self, rule: UnattributedRule) -> None:
        self._rule = rule
        self._limit = Fraction(rule.limit_percent)
        self._least = pico(rule.min_cost)
        self._missing = " or ".join(name.replace("_", " ") for name in rule.dimensions)
        dimensions = ("team", *rule.dimensions)
        super().__init__(Series(dimensions, ("calls", "cost"), DAY, DAYS, under=self._by_team))

    def new(self) -> Unattributed:
        """The same rule without data."""
        return Unattributed(self._rule)

    def findings(self, day: int, changed: Iterable[Key]) -> Iterator[Finding]:
        """One, where the share is beyond the limit or clearly below it."""
        if not any(True for _ in changed):
            return
        sums = self._series.at(day)
        lacking = {key: calls_and_cost for key, calls_and_cost in sums.items() if key[1]}
        by_cost = sum(cost for _, cost in sums.values()) > 0
        measure, least = (1, self._least) if by_cost else (0, LEAST_CALLS)
        whole = sum(part[measure] for part in sums.values())
        part = sum(part[measure] for part in lacking.values())
        if whole <= 0:
            return
        share = Fraction(part * 100, whole)
        level = 0
        if share >= self._limit and part >= least:
            level = 2 if share >= WORSE * self._limit else 1
        elif share >= CLEAR * self._limit and part >= CLEAR * least:
            return
        amount = money(part) if by_cost else counted(part)
        what = "cost" if by_cost else "calls"
        percent = Decimal(int(share * 10)).scaleb(-1)
        date = self._period(day)
        report = Report(
            title=(
                f"{percent} % of the {what} of {date} has no {self._missing}: {amount}"
                if level
                else f"Less than {self._rule.limit_percent} % of {date} has no {self._missing}"
            ),
            detail=(
                f"{amount} of {money(whole) if by_cost else counted(whole)} on {date} (UTC) came "
                f"without {self._missing}. At most {self._rule.limit_percent} % should."
            ),
            action=(
                "Have the teams below set it where they make their calls, or at their gateway. "
                "What is counted already stays as it is."
            ),
            value=percent,
            limit=self._rule.limit_percent,
            unit=f"% of the {what}",
            contributors=largest(contributor(str(k[0]), *sums[k]) for k in lacking),
        )
        threshold = f"{self._rule.limit_percent} % without {', '.join(self._rule.dimensions)}"
        yield Finding(ORGANISATION, threshold, level, level > 1, report)

    def _by_team(self, key: Key) -> Key:
        return key[0], any(part in {None, ""} for part in key[1:])
