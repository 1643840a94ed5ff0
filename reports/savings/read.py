"""What is asked of ClickHouse: calls by group in both cases, waste, growing prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from reports.routing.figures import EXACT
from reports.savings.asked import Asked
from sinks.clickhouse import ClickHouse

_GROUPS = """
SELECT use_case, routing_tier, provider, model, is_failed, is_retry, count(),
       countIf(s.cost IS NULL), sum(s.cost), countIf(s.prompt_hash IS NOT NULL),
       sumIf(s.cost, s.prompt_hash IS NOT NULL), sumIf(s.cost, s.prefix_hash IS NOT NULL),
       countIf(is_duplicate), countIf(is_duplicate AND s.cost IS NULL), sum(duplicate_saved),
       countIf(s.prefix_hash IS NOT NULL), countIf(s.prefix_tokens > 0), sum(s.prefix_tokens),
       sumIf(s.prefix_tokens, prefix_saved IS NULL), sum(prefix_saved), sum(next_prefix_saved),
       sum(cost_left)
FROM {calls} AS s WHERE {scope} GROUP BY ALL ORDER BY ALL {spill}
"""
_WASTE = """
SELECT sum(d.calls), sum(d.cost), sum(d.failed_calls), sum(d.retries), sum(d.wasted_calls),
       sum(d.failed_cost), sum(d.retry_cost), sum(d.wasted_cost)
FROM spend_by_day AS d WHERE {days} AND NOT is_shadow AND {scope}
"""
_GROWN = """
SELECT count(), countIf(grown_tokens > 0), sum(g.calls), sum(g.cost), sum(prompt_tokens),
       sum(grown_tokens), sum(grown_tokens_without_rates), sum(grown_cost)
FROM {growth} AS g WHERE {scope} AND cityHash64(workflow) % {parts:UInt32} = {part:UInt32} {spill}
"""
_CALLS_BY_DAY = (
    "SELECT day, sum(d.calls) FROM spend_by_day AS d WHERE {days} AND NOT is_shadow "
    "GROUP BY day ORDER BY day"
)
MOST_CALLS = 1_000_000
"""That one statement looks at, or those of a day where it has more: within the time that an answer
of ClickHouse is waited for, also on a small machine that is busy."""
_WORKFLOW_CALLS = 4
"""Times as many, where calls are only grouped by workflow."""
_KEYS = 6
"""Columns by which `_GROUPS` groups."""


@dataclass(frozen=True, slots=True)
class Group:
    """Calls of one use case, tier, model and end. Costs are exact USD, of those that are known.

    ``next_prefix_saved``: with the duplicates gone. ``cost_left``: without both.
    """

    use_case: str | None
    tier: str | None
    provider: str
    model: str
    is_failed: bool
    is_retry: bool
    calls: int
    unknown: int
    cost: Decimal
    hashed: int
    hashed_cost: Decimal
    prefixed_cost: Decimal
    duplicates: int
    unknown_duplicates: int
    duplicate_saved: Decimal
    prefixed: int
    repeats: int
    prefix_tokens: int
    unrated_tokens: int
    prefix_saved: Decimal
    next_prefix_saved: Decimal
    cost_left: Decimal


@dataclass(frozen=True, slots=True)
class Waste:
    """What the ledger says; costs None: not known."""

    calls: int
    cost: Decimal | None
    failed_calls: int
    retries: int
    wasted_calls: int
    failed_cost: Decimal
    retry_cost: Decimal
    wasted_cost: Decimal


@dataclass(frozen=True, slots=True)
class Growth:
    """Workflows with more calls than the first few, and what they sent beyond their beginning."""

    workflows: int
    growing: int
    calls: int
    cost: Decimal | None
    prompt_tokens: int
    grown_tokens: int
    unrated_tokens: int
    grown_cost: Decimal


def read_groups(clickhouse: ClickHouse, asked: Asked, *, hopeful: bool) -> list[Group]:
    """The calls by group, in one of the two cases. Raises ClickHouseError.

    Some days at a time: the view looks beyond them, so that their sums add up to those of all.
    """
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for part in _stretches(clickhouse, asked):
        for row in part.query(_GROUPS, hopeful=int(hopeful)).rows(clickhouse):
            amounts = [0 if amount is None else amount for amount in row[_KEYS:]]
            known = sums.get(row[:_KEYS])
            sums[row[:_KEYS]] = (
                amounts
                if known is None
                else [_plus(one, other) for one, other in zip(known, amounts, strict=True)]
            )
    return [_group((*key, *amounts)) for key, amounts in sums.items()]


def _stretches(clickhouse: ClickHouse, asked: Asked) -> Iterator[Asked]:
    """Whole days in order, without a gap: as many as one statement takes, at least one."""
    span, first, size = asked.span, asked.span.first, 0
    for day, calls in asked.query(_CALLS_BY_DAY).rows(clickhouse):
        if size and size + int(calls) > MOST_CALLS:
            yield replace(asked, span=replace(span, first=first, last=day - timedelta(days=1)))
            first, size = day, 0
        size += int(calls)
    yield replace(asked, span=replace(span, first=first))


def _plus(one: Any, other: Any) -> Any:
    """Exact, of counts and of money."""
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        return EXACT.add(Decimal(one), Decimal(other))
    return one + other


def read_waste(clickhouse: ClickHouse, asked: Asked) -> Waste:
    """What failures and retries cost. Raises ClickHouseError."""
    ((calls, cost, failed, retries, wasted, *costs),) = asked.query(_WASTE).rows(clickhouse)
    return Waste(int(calls), cost, int(failed), int(retries), int(wasted), *map(_usd, costs))


def read_growth(clickhouse: ClickHouse, asked: Asked, calls: int) -> Growth:
    """How prompts grew within workflows; ``calls``: about how many there are.

    Some workflows at a time, by a hash of their names. Raises ClickHouseError.
    """
    parts = 1 + calls // (_WORKFLOW_CALLS * MOST_CALLS)
    sums: list[Any] = [0] * 8
    for part in range(parts):
        query = asked.query(_GROWN, parts=parts, part=part)
        (row,) = query.rows(clickhouse)
        sums = [
            _plus(one, 0 if other is None else other) for one, other in zip(sums, row, strict=True)
        ]
    workflows, growing, calls, cost, tokens, grown, unrated, grown_cost = sums
    return Growth(
        int(workflows),
        int(growing),
        int(calls),
        Decimal(cost) if workflows else None,
        int(tokens),
        int(grown),
        int(unrated),
        Decimal(grown_cost),
    )


def _group(row: tuple[Any, ...]) -> Group:
    case, tier, provider, model, failed, retry, calls, unknown, cost, hashed = row[:10]
    hashed_cost, prefixed_cost, duplicates, unknown_duplicates, duplicate_saved = row[10:15]
    prefixed, repeats, tokens, unrated = row[15:19]
    return Group(
        case,
        tier,
        str(provider),
        str(model),
        bool(failed),
        bool(retry),
        int(calls),
        int(unknown),
        _usd(cost),
        int(hashed),
        _usd(hashed_cost),
        _usd(prefixed_cost),
        int(duplicates),
        int(unknown_duplicates),
        _usd(duplicate_saved),
        int(prefixed),
        int(repeats),
        int(tokens),
        int(unrated),
        *map(_usd, row[19:]),
    )


def _usd(cost: Decimal | int | None) -> Decimal:
    """A sum over nothing is nothing."""
    return Decimal(0) if cost is None else Decimal(cost)
