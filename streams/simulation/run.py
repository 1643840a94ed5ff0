"""Budgets and detectors over some days of past usage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from schemas.alerts import Alert, Rule
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.periods import Rolling, first_instant
from streams.budgets.spent import Spent
from streams.detectors.daily import Daily
from streams.detectors.episodic import LOOKBACK, Episodic
from streams.detectors.settings_file import Detectors
from streams.detectors.storms import Storms
from streams.guard.concern import Concern
from streams.guard.concerns import concerns_of, storm_rule
from streams.guard.totals import Totals
from streams.settings import Settings
from streams.simulation.past import Past, ledger_bounds, prompts_since
from streams.simulation.report import Peaks
from streams.simulation.simulator import Simulator

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLDEST_YEAR = 2000
RUN_UP = 3 * HOUR
"""Judged before the first day without telling of it, so that it is known what goes on then: what
detectors look back on, storms and their like."""


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a time zone, both included: the time from ``start`` up to ``end``, UTC."""

    first: date
    last: date
    zone: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, first: date, last: date, zone: str, now: datetime) -> Self:
        """Up to now where the last day is today. Raises UserError for days that have no past."""
        if last < first:
            raise UserError(f"--to {last} is before --from {first}; write the earlier day first")
        if first.year < OLDEST_YEAR:
            raise UserError(f"--from {first} is before {OLDEST_YEAR}; there is no usage so old")
        if last > now.astimezone(ZoneInfo(zone)).date():
            raise UserError(f"--to {last} is in the future; there is no usage to simulate with yet")
        end = first_instant(zone, last + DAY)
        return cls(first, last, zone, first_instant(zone, first), min(end, now))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would have happened. ``watched``: rules that were looked for, beside budgets."""

    days: Days
    rows: int
    """Of the ledger, in these days."""
    transitions: Sequence[Alert]
    """In order of event time, which is their ``at``."""
    open_before: int
    """Alerts that were open already when the days began."""
    peaks: dict[str, Spent]
    """How full each budget was at most; none where nothing was spent that it counts."""
    watched: Sequence[Rule]
    prompts_since: datetime | None
    """From when on repeated prompts are known; None where they are not."""


def simulate(
    settings: Settings,
    book: BudgetBook,
    detectors: Detectors,
    clickhouse: ClickHouse,
    days: Days,
    told: Callable[[datetime], None] = lambda now: None,
) -> Outcome:
    """Run everything that the guard would watch. ``told`` hears how far it is in event time.

    Raises UserError where nothing was spent in these days.
    """
    rows = sum(count for _, count in Past(clickhouse, days.start, days.end).hours())
    if not rows:
        raise UserError(_nothing(clickhouse, days))
    concerns = [c for c in concerns_of(settings, book, detectors) if not isinstance(c, Totals)]
    (budgets,) = [c for c in concerns if isinstance(c, Budgets)]
    (storms,) = [c for c in concerns if isinstance(c, Storms)]
    budgets.trend_of = lambda *_: ()  # charts are of no use here
    peaks = Peaks(budgets, days.start)

    def judged(now: datetime) -> None:
        peaks.look(now)
        told(now)

    simulator = Simulator(concerns, judged)
    run_up = days.start - RUN_UP
    for chunk in Past(clickhouse, _known_from(book, detectors, run_up), run_up).chunks():
        simulator.warm_up(chunk.rows())
        told(chunk.end)
    rule = storm_rule(settings)
    found = list(simulator.begin(run_up))
    for chunk in Past(clickhouse, run_up, days.end).chunks():
        found += simulator.feed(chunk.rows(), chunk.repeats(storms, rule))
    found += simulator.pass_time(days.end)
    before = [alert for alert in found if alert.at < days.start]
    return Outcome(
        days,
        rows,
        [alert for alert in found if alert.at >= days.start],
        _still_open(before, days.start),
        peaks.highest,
        _watched(book, concerns),
        prompts_since(clickhouse),
    )


def _known_from(book: BudgetBook, detectors: Detectors, start: datetime) -> datetime:
    """From when on usage has to be known, so that everything is as if it had always run."""
    backs = [2 * DAY]  # the rules by day look at yesterday too
    if detectors.runaway is not None:
        backs.append(detectors.runaway.within + LOOKBACK)
    if detectors.context_bloat is not None:
        backs.append(detectors.context_bloat.baseline_days * DAY + LOOKBACK)
    if detectors.anomaly is not None:
        backs.append((detectors.anomaly.weeks * 7 + 1) * DAY + LOOKBACK)
    starts = [start - max(backs)]
    for budget in book.budgets:
        window = budget.window(book)
        if isinstance(window, Rolling):
            starts.append(start - window.length - window.step)
        else:
            starts += [window.containing(start).start, start - 7 * DAY - HOUR]
    return min(starts)


def _still_open(transitions: Sequence[Alert], at: datetime) -> int:
    newest = {alert.alert_id: alert for alert in transitions}
    return sum(
        alert.transition != "resolved" and (alert.review or alert.until is None or at < alert.until)
        for alert in newest.values()
    )


def _watched(book: BudgetBook, concerns: Sequence[Concern]) -> list[Rule]:
    rules: list[Rule] = ["retry_storm", "provider_outage"]
    rules += [concern.rule for concern in concerns if isinstance(concern, Episodic | Daily)]
    followed = [budget for budget in book.budgets if not isinstance(budget.period, Rolling)]
    if any(budget.watches_burn_rate for budget in followed):
        rules.append("burn_rate")
    if any(budget.forecast for budget in followed):
        rules.append("forecast")
    return rules


def _nothing(clickhouse: ClickHouse, days: Days) -> str:
    bounds = ledger_bounds(clickhouse)
    known = "it is empty"
    if bounds is not None:
        known = f"it has usage from {bounds[0]:%Y-%m-%d} to {bounds[1]:%Y-%m-%d} (UTC)"
    return f"the ledger has nothing from {days.first} to {days.last} ({days.zone}); {known}"
