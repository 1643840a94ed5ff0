"""Prompts and caches: what providers' and gateways' caches serve, and how long prompts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures, key, table
from reports.figures.figure import Figure, Measure, Table
from reports.figures.lens import Lens
from reports.figures.measures import CALLS, SPEND, ratio
from sinks.clickhouse import ClickHouse

_PROMPT = "input_tokens + cache_read_tokens + cache_write_tokens"
_CACHED = Measure(
    "cache_read_share",
    "Prompt tokens from a provider's cache",
    "share",
    ratio("sum(cache_read_tokens)", f"sum({_PROMPT})"),
    "Tokens read from a provider's prompt cache, of all prompt tokens. They cost a fraction.",
)
_PROMPT_TOKENS = Measure(
    "prompt_tokens",
    "Prompt tokens",
    "count",
    f"sum({_PROMPT})",
    "All tokens of prompts: read from a cache, written to one, and neither.",
    "tokens",
)
_READ = Measure("cache_read_tokens", "From cache", "count", "sum(cache_read_tokens)", "", "tokens")
_WRITTEN = Measure(
    "cache_write_tokens", "Written to cache", "count", "sum(cache_write_tokens)", "", "tokens"
)
_PER_CALL = Measure(
    "prompt_tokens_per_call",
    "Prompt tokens a call",
    "number",
    ratio(f"sum({_PROMPT})", "sum(calls)"),
    "Mean length of a prompt, with what came from a cache. Calls without known tokens count as "
    "calls.",
    "tokens",
)
_HITS = Measure(
    "cache_hits",
    "Answers from a gateway's cache",
    "count",
    "sum(cache_hits)",
    "Calls that a gateway answered from its own cache, at no cost.",
    "calls",
)


@dataclass(frozen=True, slots=True)
class Prompts:
    """From the ledger by day."""

    totals: Mapping[str, Figure]
    by_model: Table
    by_team: Table


def prompts(clickhouse: ClickHouse, lens: Lens) -> Prompts:
    """Raises ClickHouseError."""
    return Prompts(
        figures(clickhouse, lens, [_CACHED, _PROMPT_TOKENS, _PER_CALL, _HITS]),
        _table(clickhouse, lens, "model", "By model", 30),
        _table(clickhouse, lens, "team", "By team", 30),
    )


def _table(clickhouse: ClickHouse, lens: Lens, dimension: str, title: str, limit: int) -> Table:
    measures = [_CACHED, _READ, _WRITTEN, _PROMPT_TOKENS, _PER_CALL, _HITS, CALLS, SPEND]
    return table(
        clickhouse,
        lens,
        f"cache_by_{dimension}",
        title,
        keys=[key(dimension)],
        measures=measures,
        order="9 DESC NULLS LAST, 1",
        limit=limit,
        definition=f"{_CACHED.definition} Dearest first.",
    )
