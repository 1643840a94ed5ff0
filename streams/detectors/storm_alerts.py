"""What is said of retry storms and provider outages: their alerts, for a person to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import accumulate

from schemas.alerts import Alert, Contributor, Severity
from sinks.amounts import number_text
from streams.detectors.attempts import Scope, Tally
from streams.detectors.report import NOTHING_TO_DO, TOP, money, short
from streams.detectors.storm_episodes import Episode
from streams.detectors.storm_rule import KEEP_MINUTES
from streams.guard.concern import AsOf
from streams.guard.money import usd

TREND_LEAD, TREND_MINUTES = 10, 60
"""Minutes of a chart before an episode begins, and at most."""


@dataclass(slots=True)
class Waste:
    """What a storm has wasted, of all attempts in its time, by `provider model: error`."""

    attempts: int = 0
    by_cause: dict[str, Tally] = field(default_factory=dict)
    by_minute: dict[int, Tally] = field(default_factory=dict)
    provider_down: str | None = None
    """A provider whose outage a part of it is owed to."""
    lately: bool = False
    """It began before the minutes that are kept."""
    prompt: tuple[str, int] | None = None
    """The prompt that was repeated most, by its hash, and how often it was sent in one window."""

    def add(self, minute: int, attempts: int, by_cause: Mapping[str, Tally]) -> None:
        """Count one minute more."""
        self.attempts += attempts
        self.by_minute[minute] = Tally.total(by_cause.values())
        for cause, tally in by_cause.items():
            self.by_cause.setdefault(cause, Tally()).add(tally)


@dataclass(slots=True)
class Outage:
    """What an outage has cost: all attempts, and those that failed by team and by error."""

    attempts: int = 0
    failed: Tally = field(default_factory=Tally)
    by_team: dict[str, Tally] = field(default_factory=dict)
    by_error: dict[str, int] = field(default_factory=dict)
    by_minute: dict[int, Tally] = field(default_factory=dict)
    lately: bool = False
    """It began before the minutes that are kept."""

    def add(self, minute: int, team: str, attempts: int, failed: Mapping[str, Tally]) -> None:
        """Count attempts of a team in a minute."""
        self.attempts += attempts
        for error, tally in failed.items():
            self.by_minute.setdefault(minute, Tally()).add(tally)
            self.failed.add(tally)
            self.by_team.setdefault(team, Tally()).add(tally)
            self.by_error[error] = self.by_error.get(error, 0) + tally.calls


def storm_alert(
    scope: Scope, episode: Episode, waste: Waste, level: int, over: bool, at: AsOf, now: datetime
) -> Alert:
    """How a retry storm stands."""
    wasted = Tally.total(waste.by_cause.values())
    name = "no application" if scope.application is None else short(scope.application)
    who = f"{name} of team {short(scope.team)}"
    does = "repeats failing calls" if waste.prompt is None else "sends one prompt again and again"
    application = {} if scope.application is None else {"application": scope.application}
    said = [
        f"{_part(wasted.calls, waste.attempts, 'attempts')} failed or repeated an earlier one"
        f"{_LATELY if waste.lately else ''}.",
        f"Wasted: {_price(wasted)}.",
    ]
    if waste.prompt is not None:
        prompt, calls = waste.prompt
        said.append(f"One prompt (hash {short(prompt, 20)}) was sent {calls:,} times over.")
    if waste.provider_down is not None:
        said.append(f"{short(waste.provider_down)} is failing for other teams too.")
    action = (
        "Find the loop in the client that sends one prompt again and again, and stop it."
        if waste.prompt is not None
        else "Stop the retries: lower the retry limit, back off longer or open the circuit breaker."
    )
    return Alert(
        rule="retry_storm",
        scope={"team": scope.team, **application},
        period=episode.since.isoformat(),
        threshold=episode.threshold,
        transition="resolved" if over else "opened",
        level=level,
        severity=_severity(level, over),
        title=f"Retry storm over: {who}" if over else f"Retry storm: {who} {does}",
        detail=" ".join(said) if wasted.calls else _NOTHING_LEFT,
        action=NOTHING_TO_DO if over else action,
        value=None if wasted.cost is None else usd(wasted.cost),
        since=episode.since,
        until=episode.until if over else None,
        at=now,
        contributors=_largest(waste.by_cause),
        trend=_trend(episode, {m: usd(one.cost or 0) for m, one in waste.by_minute.items()})
        if wasted.cost
        else (),
        journal=at.journal,
        position=at.position,
    )


def outage_alert(
    provider: str,
    model: str | None,
    episode: Episode,
    outage: Outage,
    level: int,
    over: bool,
    at: AsOf,
    now: datetime,
) -> Alert:
    """How a provider outage stands."""
    failed = outage.failed
    scope = {"provider": provider} if model is None else {"provider": provider, "model": model}
    where = " ".join(map(short, scope.values()))
    errors = sorted(outage.by_error.items(), key=lambda item: (-item[1], item[0]))
    mostly = f", mostly with {short(errors[0][0])}" if errors else ""
    return Alert(
        rule="provider_outage",
        scope=scope,
        period=episode.since.isoformat(),
        threshold=episode.threshold,
        transition="resolved" if over else "opened",
        level=level,
        severity=_severity(level, over),
        title=f"Provider outage over: {where}"
        if over
        else f"Provider outage: {where} fails for {len(outage.by_team):,} teams",
        detail=(
            f"{_part(failed.calls, outage.attempts, 'calls')} failed, of "
            f"{len(outage.by_team):,} teams{mostly}{_LATELY if outage.lately else ''}: "
            f"it is the provider, not one client. Wasted: {_price(failed)}."
            if failed.calls
            else _NOTHING_LEFT
        ),
        action=(
            NOTHING_TO_DO
            if over
            else f"Fail over to another {'provider' if model is None else 'model'}, and open the "
            "circuit breaker, so that retries do not pile up until it is back."
        ),
        value=Decimal(failed.calls),
        limit=Decimal(episode.threshold),
        unit="failed calls",
        since=episode.since,
        until=episode.until if over else None,
        at=now,
        contributors=_largest({f"team {t}": tally for t, tally in outage.by_team.items()}),
        trend=_trend(episode, {m: Decimal(one.calls) for m, one in outage.by_minute.items()}),
        journal=at.journal,
        position=at.position,
    )


_LATELY = f" in the last {KEEP_MINUTES // 60} hours"
_NOTHING_LEFT = "It was open when this was last looked at, and there is no more evidence of it."


def _trend(episode: Episode, by_minute: Mapping[int, Decimal]) -> tuple[Decimal, ...]:
    """The sum so far minute by minute, from a while before the episode on."""
    minutes = range(episode.first - TREND_LEAD, episode.last + 1)
    sums = accumulate(by_minute.get(minute, Decimal(0)) for minute in minutes)
    return tuple(sums)[-TREND_MINUTES:]


def _severity(level: int, over: bool) -> Severity:
    return "info" if over else "critical" if level > 1 else "warning"


def _part(part: int, whole: int, what: str) -> str:
    whole = max(part, whole)
    return f"{part:,} of {whole:,} {what} ({part * 100 // max(whole, 1)} %)"


def _price(tally: Tally) -> str:
    tokens = "tokens" if tally.tokens is None else f"{number_text(tally.tokens)} tokens"
    if tally.cost is None:
        return f"{tokens}, at a cost that is not known"
    return f"{money(tally.cost)} and {tokens}"


def _largest(parts: Mapping[str, Tally]) -> tuple[Contributor, ...]:
    """Those with most calls: what fails is often free, and is the cause all the same."""
    ranked = sorted(parts.items(), key=lambda item: (-item[1].calls, -(item[1].cost or 0), item[0]))
    return tuple(
        Contributor(
            name=name,
            cost=None if tally.cost is None else usd(tally.cost),
            calls=tally.calls,
            tokens=tally.tokens,
        )
        for name, tally in ranked[:TOP]
    )
