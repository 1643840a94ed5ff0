"""What the guard watches, as the settings and the rule files say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schemas.alerts import Alert
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.pace import Pace
from streams.detectors.concerns import detectors_of
from streams.detectors.settings_file import Detectors
from streams.detectors.storm_rule import StormRule
from streams.detectors.storms import Storms
from streams.guard.concern import Concern
from streams.guard.totals import Totals
from streams.settings import Settings


def concerns_of(
    settings: Settings,
    book: BudgetBook,
    detectors: Detectors,
    announced: Iterable[Alert] = (),
    older: set[tuple[str, int]] | None = None,
) -> Sequence[Concern]:
    """Every concern with nothing counted yet. ``announced``: the newest transition of each alert,
    for those that name their episodes by when they began. ``older``: see `Budgets`."""
    budgets = Budgets(book, older)
    pace = Pace(budgets)
    budgets.trend_of = pace.trend
    watched: tuple[Concern, ...] = (
        Totals(),
        budgets,
        pace,
        Storms(storm_rule(settings)),
        *detectors_of(detectors),
    )
    for alert in announced:
        for concern in watched:
            concern.remember(alert)
    return watched


def storm_rule(settings: Settings) -> StormRule:
    """When failed and repeated attempts are a storm."""
    return StormRule(
        settings.storm_window_minutes,
        settings.storm_min_calls,
        settings.storm_share_percent,
        settings.storm_quiet_seconds,
    )
