"""Data quality: what the figures do not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures, key, table
from reports.figures.figure import Figure, Measure, Table
from reports.figures.lens import Lens
from reports.figures.measures import CALLS, SPEND, ratio, spent
from sinks.clickhouse import ClickHouse

_UNPRICED = Measure("unpriced_calls", "Without a price", "count", "sum(unpriced_calls)",
                    "Calls whose model had no known price. Their tokens are counted, their cost is "
                    "not known.", "calls")  # fmt: skip
_NO_USAGE = Measure("calls_without_usage", "Without tokens", "count", "sum(calls_without_usage)",
                    "Calls whose tokens are not known, such as some that failed.",
                    "calls")  # fmt: skip
_ESTIMATED = Measure("estimated_calls", "Estimated", "count", "sum(estimated_calls)",
                     "Calls whose tokens the caller estimated, as the provider did not say them.",
                     "calls")  # fmt: skip
_PRICED = Measure("priced_share", "Calls with a known cost", "share",
                  ratio("sum(priced_calls)", "sum(calls)"),
                  "Calls with known tokens and a known price, of all calls.")  # fmt: skip


def _without(dimension: str) -> list[Measure]:
    """Calls that do not name a dimension, and their spend."""
    words = dimension.replace("_", " ")
    return [
        Measure(f"calls_without_{dimension}", f"Without a {words}", "count",
                f"sumIf(calls, {dimension} IS NULL)", f"Calls that name no {words}.", "calls"),
        Measure(f"spend_without_{dimension}", f"Spend without a {words}", "money",
                spent(where=f"{dimension} IS NULL"),
                f"Spend on calls that name no {words}: it can be charged to a team only."),
    ]  # fmt: skip


_METERING = [
    Measure("events", "Events metered", "count", "sum(events)",
            "Events that were counted, since ever.", "events"),
    Measure("lost", "Lost", "count", "sum(lost)",
            "Events that the topic's retention removed before they were metered, since ever.",
            "events"),
    Measure("refused", "Refused", "count", "sum(refused)",
            "Events that broke a rule of the contract, since ever; dead letters keep them.",
            "events"),
    Measure("duplicates", "Duplicates dropped", "count", "sum(duplicates)",
            "Repeats of a known event, dropped, since ever.", "events"),
    Measure("conflicts", "Conflicts", "count", "sum(conflicts)",
            "Repeats of a known event with another payload; the first one counted.", "events"),
]  # fmt: skip
_NEWEST = Measure("newest", "Newest call", "moment", "max(minute)",
                  "The newest minute of the ledger, UTC, by when calls were answered.")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quality:
    """``metering`` and ``fresh`` are of everybody, since ever: empty for limited viewers."""

    totals: Mapping[str, Figure]
    unattributed: Mapping[str, Figure]
    metering: Mapping[str, Figure]
    fresh: Mapping[str, Figure]
    by_team: Table
    unpriced_models: Table


def quality(clickhouse: ClickHouse, lens: Lens) -> Quality:
    """Raises ClickHouseError."""
    nobody = [one for name in ("project", "use_case", "user") for one in _without(name)]
    everybody = lens.viewer.sees_all
    return Quality(
        figures(clickhouse, lens, [CALLS, _PRICED, _UNPRICED, _NO_USAGE, _ESTIMATED]),
        figures(clickhouse, lens, nobody),
        figures(clickhouse, lens, _METERING, source="metering", where="true") if everybody else {},
        figures(clickhouse, lens, [_NEWEST], source="spend", where="true") if everybody else {},
        table(
            clickhouse,
            lens,
            "quality_by_team",
            "By team",
            keys=[key("team")],
            measures=[CALLS, _PRICED, _UNPRICED, _NO_USAGE, _ESTIMATED, *nobody[1::2], SPEND],
            order="sum(unpriced_calls + calls_without_usage) DESC, team",
            limit=30,
            definition="Most calls without a known cost first.",
        ),
        table(
            clickhouse,
            lens,
            "unpriced_models",
            "Models without a price",
            keys=[key("provider"), key("model")],
            measures=[_UNPRICED, CALLS],
            order="3 DESC, 1, 2",
            having="sum(unpriced_calls) > 0",
            limit=20,
            definition="`spendstream prices check` says what would give them a price.",
        ),
    )
