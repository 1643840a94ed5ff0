"""Figures of single calls, from the archive: exact, and only where there are not too many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures, table
from reports.figures.figure import Column, Figure, Measure, Table
from reports.figures.lens import Lens, within
from sinks.clickhouse import ClickHouse

MOST_CALLS = 3_000_000
"""In the period, over everybody. The archive is read call by call: of more, a page would wait."""
_SAVED = Measure(
    "cache_saved",
    "Saved by a gateway's cache",
    "usd",
    "sum(saved)",
    "What the newest billed call with the same prompt and model cost, for each answer from the "
    "cache. In USD.",
)
_UNKNOWN_HITS = Measure(
    "cache_hits_unknown",
    "Answers whose saving is not known",
    "count",
    "countIf(saved IS NULL)",
    "Answers from the cache for which no billed call with the same prompt is known.",
    "calls",
)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Money is USD, whatever the lens's currency is: the archive has it so."""

    cache: Mapping[str, Figure]
    repeated: Table
    context: Table


def small_enough(clickhouse: ClickHouse, lens: Lens) -> bool:
    """Whether the period has few enough calls to read the archive of. Raises ClickHouseError."""
    sql = "SELECT sum(calls) FROM spend_by_day WHERE day >= {first:Date} AND day <= {last:Date}"
    ((calls,),) = lens.query(sql).rows(clickhouse)
    return int(calls) <= MOST_CALLS


def repeats(clickhouse: ClickHouse, lens: Lens) -> Repeats:
    """Raises ClickHouseError."""
    where = lens.where(within("occurred_at"), time="")
    return Repeats(
        figures(clickhouse, lens, [_SAVED, _UNKNOWN_HITS], source="cache_savings", where=where),
        _repeated(clickhouse, lens, where),
        _context(clickhouse, lens, where),
    )


def _context(clickhouse: ClickHouse, lens: Lens, where: str) -> Table:
    """How long the context of calls is, where they say it."""
    return table(
        clickhouse,
        lens,
        "context",
        "Length of the context",
        keys=[
            Column("team", "Team", "text", key=True),
            Column("application", "Application", "text", key=True),
        ],
        measures=[
            Measure("calls", "Calls", "count", "count()", ""),
            Measure("median", "Median, tokens", "count", "quantileExact(0.5)(context_tokens)", ""),
            Measure("p95", "95 % are below", "count", "quantileExact(0.95)(context_tokens)", ""),
            Measure("longest", "Longest", "count", "max(context_tokens)", ""),
        ],
        order="5 DESC, 1, 2",
        source="usage",
        where=f"{where} AND kind = 'usage' AND shadow_of IS NULL AND context_tokens IS NOT NULL",
        limit=20,
        definition="Tokens of the context window that a call says it filled; calls that do not say "
        "it are left out. The longest first: what grows from call to call is paid for again and "
        "again.",
    )


def _repeated(clickhouse: ClickHouse, lens: Lens, where: str) -> Table:
    """Prompts that were sent more than once, by who sent them."""
    calls = (
        "kind = 'usage' AND shadow_of IS NULL AND prompt_hash IS NOT NULL "
        "AND ifNull(served_from_cache, false) = false"
    )
    source = (
        "(SELECT team, application, model, prompt_hash, count() AS n, sum(cost) AS usd "
        f"FROM usage WHERE {where} AND {calls} "
        "GROUP BY team, application, model, prompt_hash HAVING n > 1)"
    )
    return table(
        clickhouse,
        lens,
        "repeated_prompts",
        "Prompts sent more than once",
        keys=[
            Column("team", "Team", "text", key=True),
            Column("application", "Application", "text", key=True),
            Column("model", "Model", "text", key=True),
        ],
        measures=[
            Measure("prompts", "Different prompts", "count", "count()", ""),
            Measure("repeats", "Calls beyond the first", "count", "sum(n - 1)", ""),
            Measure("repeated_cost", "Cost of all of them, USD", "usd", "sum(usd)", ""),
        ],
        order="5 DESC, 1, 2, 3",
        source=source,
        where="true",
        limit=20,
        definition="Calls with the same prompt hash, team, application and model in the period, "
        "without shadow calls and answers from a cache. A repeat may be meant: savings has a "
        "window of time.",
    )
