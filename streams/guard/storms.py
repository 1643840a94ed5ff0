"""Retry storms: many failed or repeated attempts of one team and application in a short window.

An attempt is wasted if it failed (error, timeout, rate limited, cancelled) or repeats an earlier
one. A minute of event time is evidence if, in the window that ends with it, at least ``min_calls``
attempts were wasted and they are at least ``share_percent`` of all. Minutes of evidence that are
close together are one storm; its first minute is its name.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl

from schemas.alerts import Alert, Contributor
from sinks.clickhouse import ClickHouse
from streams.guard.concern import Accepted, AsOf
from streams.guard.money import pico, usd

FAILED = ("error", "timeout", "rate_limited", "cancelled")
KEEP_MINUTES = 180
"""Minutes kept per team and application: longer than any storm goes on without a pause."""
CLOCK_MINUTES = 5
"""A minute further in the future is a wrong clock; it must not push the present out of memory."""
TOP = 3


class Scope(NamedTuple):
    """Whose attempts are counted together."""

    team: str
    application: str | None


@dataclass(frozen=True, slots=True)
class StormRule:
    """When failed and repeated attempts are a storm."""

    window_minutes: int = 2
    min_calls: int = 20
    share_percent: int = 50
    quiet_seconds: int = 120

    @property
    def gap_minutes(self) -> int:
        """Evidence at most this far apart belongs to one storm."""
        return max(self.window_minutes, -(-self.quiet_seconds // 60))


@dataclass(slots=True)
class Slot:
    """One minute of one scope: all attempts, and the wasted ones by what went wrong."""

    calls: int = 0
    wasted: dict[str, list[int]] = field(default_factory=dict)
    """`provider model reason` to [attempts, pico-dollars]."""

    def wasted_calls(self) -> int:
        """Wasted attempts of the minute."""
        return sum(calls for calls, _ in self.wasted.values())


@dataclass(frozen=True, slots=True)
class Storm:
    """Evidence from ``first`` to ``last``, Unix minutes. ``names``: the minutes that it is known
    by, the oldest first; late data may make one of two storms that have a name each."""

    first: int
    last: int
    names: tuple[int, ...] = ()


class Storms:
    """Follows every team and application. A storm is over when no new evidence has come for
    ``quiet_seconds`` of real time: event time stands still when traffic does."""

    name = "storms"

    def __init__(self, rule: StormRule) -> None:
        self._rule = rule
        self._slots: dict[Scope, dict[int, Slot]] = {}
        self._storms: dict[Scope, list[Storm]] = {}
        self._evidence_at: dict[tuple[Scope, int], datetime] = {}
        self._named: dict[Scope, set[int]] = {}

    def fresh(self) -> Storms:
        """The same rule with nothing counted yet; the names of storms stay."""
        storms = Storms(self._rule)
        storms._named = {scope: set(names) for scope, names in self._named.items()}
        return storms

    def remember(self, alert: Alert) -> None:
        """Take note of a storm that was announced before, so that it keeps its name."""
        if alert.rule == "retry_storm":
            scope = Scope(alert.scope["team"], alert.scope.get("application"))
            minute = int(datetime.fromisoformat(alert.period).timestamp()) // 60
            self._named.setdefault(scope, set()).add(minute)

    def load(self, clickhouse: ClickHouse, at: AsOf) -> None:
        """The last `KEEP_MINUTES` of each scope, as of the position."""
        failed = "(" + ", ".join(f"'{status}'" for status in FAILED) + ")"
        rows = clickhouse.query(
            "SELECT team, application, toUnixTimestamp(minute) AS at_minute, provider, model, "
            f"if(ifNull(status, '') IN {failed}, ifNull(error_code, status), 'repeated') AS reason,"
            f" (is_retry OR ifNull(status, '') IN {failed}) AS is_wasted, sum(calls), sum(cost) "
            "FROM spend INNER JOIN (SELECT team AS its_team, ifNull(application, '') AS its_name, "
            f"max(minute) AS newest FROM spend WHERE {AsOf.SQL} AND minute <= now() + INTERVAL "
            f"{CLOCK_MINUTES} MINUTE GROUP BY its_team, its_name) AS "
            "scope ON team = its_team AND ifNull(application, '') = its_name "
            f"WHERE {AsOf.SQL} AND NOT is_shadow "
            f"AND minute > newest - INTERVAL {KEEP_MINUTES} MINUTE "
            "GROUP BY team, application, minute, provider, model, reason, is_wasted",
            at.parameters,
        )
        for team, application, second, provider, model, reason, is_wasted, calls, cost in rows:
            what = f"{provider} {model}: {reason}" if is_wasted else None
            self._add(Scope(team, application), int(second) // 60, what, int(calls), pico(cost))
        for scope in self._slots:
            self._judge(scope, datetime.now(UTC), goes_on=False)

    def apply(self, entry: Accepted) -> None:
        """Add an entry's rows and look at the scopes that they touch."""
        failed = pl.col("status").is_in(FAILED).fill_null(value=False)
        reason = (
            pl.when(failed)
            .then(pl.coalesce("error_code", "status"))
            .otherwise(pl.lit("repeated"))
            .alias("reason")
        )
        sums = (
            entry.rows.filter(~pl.col("is_shadow"))
            .with_columns((failed | pl.col("is_retry")).alias("is_wasted"), reason)
            .group_by("team", "application", "minute", "provider", "model", "reason", "is_wasted")
            .agg(pl.col("calls").sum(), pl.col("cost").sum())
            .with_columns(pl.col("minute").dt.epoch("s") // 60)
        )
        added: dict[Scope, list[int]] = {}
        for (
            team,
            application,
            minute,
            provider,
            model,
            why,
            is_wasted,
            calls,
            cost,
        ) in sums.iter_rows():
            scope = Scope(team, application)
            what = f"{provider} {model}: {why}" if is_wasted else None
            self._add(scope, minute, what, calls, pico(cost))
            counts = added.setdefault(scope, [0, 0])
            counts[0] += calls
            counts[1] += calls if is_wasted else 0
        for scope, (calls, wasted) in added.items():
            goes_on = wasted > 0 and wasted * 100 >= calls * self._rule.share_percent
            self._judge(scope, datetime.now(UTC), goes_on=goes_on)

    def alerts(self, at: AsOf, now: datetime) -> Sequence[Alert]:
        """Opened for each storm; resolved, by all its names, for those that have been quiet."""
        quiet = timedelta(seconds=self._rule.quiet_seconds)
        found: list[Alert] = []
        for scope, storms in self._storms.items():
            for storm in storms:
                found.append(self._transition(scope, storm, storm.names[0], False, at, now))
                if now - self._evidence_at[scope, storm.names[0]] >= quiet:
                    found += [
                        self._transition(scope, storm, name, True, at, now) for name in storm.names
                    ]
        return found

    def counters(self) -> Mapping[str, int]:
        """Nothing to compare: minutes are forgotten, and the totals are compared elsewhere."""
        return {}

    def _add(self, scope: Scope, minute: int, wasted: str | None, calls: int, cost: int) -> None:
        if minute > time.time() // 60 + CLOCK_MINUTES:
            return
        slots = self._slots.setdefault(scope, {})
        slot = slots.setdefault(minute, Slot())
        slot.calls += calls
        if wasted is not None:
            tally = slot.wasted.setdefault(wasted, [0, 0])
            tally[0] += calls
            tally[1] += cost
        if len(slots) > KEEP_MINUTES:
            newest = max(slots)
            for old in [m for m in slots if m <= newest - KEEP_MINUTES]:
                del slots[old]

    def _judge(self, scope: Scope, now: datetime, *, goes_on: bool) -> None:
        """Find the scope's storms anew; ``goes_on``: what was just added is mostly wasted."""
        before = self._storms.get(scope, [])
        found = storms_of(self._slots.get(scope, {}), self._rule)
        storms = [replace(storm, names=self._names_of(scope, storm, before)) for storm in found]
        self._storms[scope] = storms
        for storm in storms:
            key = (scope, storm.names[0])
            newest = storm is storms[-1]
            if storm not in before or key not in self._evidence_at or (goes_on and newest):
                self._evidence_at[key] = now

    def _names_of(self, scope: Scope, storm: Storm, before: Sequence[Storm]) -> tuple[int, ...]:
        """A storm keeps its names when late data moves its beginning, or its oldest minutes are
        forgotten because it is so long."""
        known = self._named.setdefault(scope, set())
        names = {name for name in known if storm.first <= name <= storm.last}
        for old in before:
            if old.first <= storm.last and storm.first <= old.last + self._rule.gap_minutes:
                names.update(old.names)
        if not names and known:
            newest, oldest_kept = max(self._slots[scope]), storm.first
            if newest - oldest_kept >= KEEP_MINUTES - self._rule.gap_minutes:
                names.update([max(known)] if max(known) < storm.first else [])
        if not names:
            names.add(storm.first)
            known.add(storm.first)
        return tuple(sorted(names))

    def _transition(
        self, scope: Scope, storm: Storm, name: int, over: bool, at: AsOf, now: datetime
    ) -> Alert:
        slots = self._slots[scope]
        window = range(storm.first - self._rule.window_minutes + 1, storm.last + 1)
        inside = [slots[minute] for minute in window if minute in slots]
        wasted: dict[str, list[int]] = {}
        for slot in inside:
            for what, (calls, cost) in slot.wasted.items():
                tally = wasted.setdefault(what, [0, 0])
                tally[0] += calls
                tally[1] += cost
        calls = sum(tally[0] for tally in wasted.values())
        total = sum(slot.calls for slot in inside)
        top = sorted(wasted.items(), key=lambda item: item[1], reverse=True)[:TOP]
        since = datetime.fromtimestamp(name * 60, UTC)
        names = {"team": scope.team}
        if scope.application is not None:
            names["application"] = scope.application
        who = f"{scope.application or 'no application'} of team {scope.team}"
        return Alert(
            rule="retry_storm",
            scope=names,
            period=since.isoformat(),
            threshold=str(self._rule.min_calls),
            transition="resolved" if over else "opened",
            severity="info" if over else "critical",
            title=(f"Retry storm {'over' if over else 'in'}: {who}")[:150],
            detail=(
                f"{calls:,} of {total:,} attempts "
                f"({calls * 100 // max(total, 1)} %) failed or repeated an earlier one."
            ),
            action=(
                "Nothing to do."
                if over
                else "Stop the retries: lower the retry limit or open the circuit breaker."
            ),
            value=usd(sum(tally[1] for tally in wasted.values())),
            since=since,
            at=now,
            contributors=tuple(
                Contributor(name=what, cost=usd(cost), calls=count) for what, (count, cost) in top
            ),
            journal=at.journal,
            position=at.position,
        )


def storms_of(slots: Mapping[int, Slot], rule: StormRule) -> Iterator[Storm]:
    """The storms in the minutes of one scope, oldest first."""
    first = last = None
    for minute in sorted(slots):
        span = range(minute - rule.window_minutes + 1, minute + 1)
        window = [slots[m] for m in span if m in slots]
        wasted = sum(slot.wasted_calls() for slot in window)
        calls = sum(slot.calls for slot in window)
        if wasted < rule.min_calls or wasted * 100 < calls * rule.share_percent:
            continue
        if first is not None and last is not None and minute - last > rule.gap_minutes:
            yield Storm(first, last)
            first = minute
        first = minute if first is None else first
        last = minute
    if first is not None and last is not None:
        yield Storm(first, last)
