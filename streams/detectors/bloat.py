"""Context bloat: calls that carry far more input than those of the same use case usually do.

The norm is the median of the hourly means over the days before. What is as much as in one of ten
of those hours is not unusual either: a nightly job must not raise an alarm every night. While an
episode goes on, the norm is that from before it, so that bloat does not become its own norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from streams.detectors.episodes import Episode
from streams.detectors.episodic import LOOKBACK, SLACK, Episodic
from streams.detectors.norm import median, percentile
from streams.detectors.report import Report, money, short, since, times
from streams.detectors.series import HOUR, MINUTE, Key, Series
from streams.detectors.settings_file import BloatRule
from streams.guard.money import usd

WINDOW_MINUTES = 15
PER_HOUR = 60 // WINDOW_MINUTES
LEAST_HOURS = 24
"""Hours with calls that a norm needs: a use case that is new has none."""
ORDINARY_PERCENT = 90
"""More than in this part of the hours is unusual."""
OUTPUT_WEIGHT = 5
"""What an output token costs in input tokens: usual in the price lists, four to eight."""


@dataclass(frozen=True, slots=True)
class Norm:
    """What was usual: input tokens of a call, the most that is ordinary, and all tokens."""

    tokens: int
    ordinary: int
    input_tokens: int
    output_tokens: int


class Bloat(Episodic):
    """Follows every team, application and use case. Shadow calls do not count."""

    name = "context_bloat"
    rule = "context_bloat"
    dimensions = ("team", "application", "use_case")
    span = WINDOW_MINUTES

    def __init__(self, rule: BloatRule) -> None:
        self._rule = rule
        self._factor = Fraction(rule.factor)
        self._baseline_hours = rule.baseline_days * 24
        self.threshold = f"{rule.factor} times the norm"
        lookback = LOOKBACK // MINUTE + WINDOW_MINUTES
        self._minutes = Series(
            self.dimensions,
            ("calls", "cost", "input_tokens", "output_tokens"),
            MINUTE,
            lookback + SLACK,
            shadows="none",
        )
        self._hours = Series(
            self.dimensions,
            ("calls", "input_tokens", "output_tokens"),
            HOUR,
            self._baseline_hours + lookback // 60 + 3,
            shadows="none",
        )
        super().__init__(self._minutes, self._hours)

    def new(self) -> Bloat:
        """The same rule without data and episodes."""
        return Bloat(self._rule)

    def levels(self, key: Key, steps: range) -> Iterator[tuple[int, int]]:
        """1 where the window holds enough calls, and their input is far above the norm."""
        for step, (calls, _, tokens, _) in self._minutes.sliding(key, steps, self.span):
            enough = calls >= self._rule.min_calls and tokens >= self._rule.min_tokens * calls
            norm = self._norm(key, step) if enough else None
            bloated = norm is not None and (
                tokens >= self._factor * norm.tokens * calls and tokens > norm.ordinary * calls
            )
            yield step, int(bloated)

    def report(self, key: Key, step: int, episode: Episode) -> Report:
        """How much input a call carries, what is usual, and the saving that it stands for."""
        team, application, use_case = key
        calls, cost, tokens, output = self._minutes.total(key, step - self.span + 1, step)
        norm = self._norm(key, step)
        usual = norm.tokens if norm else 0
        mean = tokens // calls if calls > 0 else 0
        what = short(use_case if use_case is not None else application or "calls")
        excess = max(0, tokens - usual * calls) if usual and calls > 0 else 0
        # Voids of what is older than the window may leave less than nothing of the output.
        saving = cost * excess // max(1, tokens + OUTPUT_WEIGHT * max(0, output)) * PER_HOUR
        detail = [f"Application {short(application, 80)}."] if application is not None else []
        if calls <= 0:
            detail.append(f"There were no calls over the last {WINDOW_MINUTES} minutes.")
        elif norm and usual:
            detail.append(
                f"Over the last {WINDOW_MINUTES} minutes a call had {mean:,} input tokens; "
                f"{usual:,} were usual (median of the hourly means of {self._rule.baseline_days} "
                f"days). Input to output is {_ratio(tokens, output)} now, "
                f"{_ratio(norm.input_tokens, norm.output_tokens)} then."
            )
        if saving > 0:
            detail.append(
                f"About {money(saving)} an hour can be saved. Estimate: the cost of these minutes "
                f"({money(cost)}) times the share of the input above the norm in all tokens, an "
                f"output token counted as {OUTPUT_WEIGHT} input tokens, per hour."
            )
        factor = f"{times(mean, usual)} times its norm" if usual else "above its norm"
        return Report(
            title=(
                f"Context of {what} of team {short(team)} is {factor}: {mean:,} input tokens a "
                f"call, {since(episode.since)}"
            ),
            detail=" ".join(detail),
            action=(
                "See what has grown: history that is never cut, too many documents, tool results "
                "kept whole, a prompt that lost its cache. Cut or summarise it."
            ),
            value=usd(saving) if saving > 0 else Decimal(mean) if calls > 0 else None,
            limit=None if saving > 0 or not usual else Decimal(usual),
            unit="USD an hour" if saving > 0 else "input tokens a call",
        )

    def over(self, key: Key) -> str:
        """The title when the context is usual again."""
        what = key[2] if key[2] is not None else key[1] or "calls"
        return f"Context of {short(what)} of team {short(key[0])} is no longer far above its norm"

    def _norm(self, key: Key, step: int) -> Norm | None:
        """What was usual before; None where too little is known."""
        episode = self._episodes.open.get(key)
        before = (step if episode is None else episode.first) - self.span + 1
        last = before // 60 - 1
        means, input_tokens, output_tokens = [], 0, 0
        first = last - self._baseline_hours + 1
        for calls, tokens, output in self._hours.each(key, first, last):
            if calls > 0:
                means.append(tokens // calls)
                input_tokens += tokens
                output_tokens += output
        if len(means) < LEAST_HOURS:
            return None
        ordinary = percentile(means, ORDINARY_PERCENT)
        return Norm(max(0, median(means)), ordinary, input_tokens, output_tokens)


def _ratio(input_tokens: int, output_tokens: int) -> str:
    if output_tokens <= 0:
        return "input only"
    return f"{Decimal(input_tokens * 10 // output_tokens).scaleb(-1):,f} to 1"
