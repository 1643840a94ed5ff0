"""Measures of the board's report that the ledger by day answers, with their definitions."""

from __future__ import annotations

from dataclasses import replace

from reports.figures.figure import Measure
from reports.figures.measures import CALLS, NOT_IN_COST, SPEND, USERS, ratio

LINE = "0.5"
"""Half of all calls on cost-optimised models: what an organisation that routes well is at."""
CHEAP = "routing_tier = 'cost-optimised'"


def _of(calls: str, cost: str) -> str:
    """A sum of money that is nothing, and not unknown, where there are no such calls."""
    return f"if(sum({calls}) = 0, 0, sum({cost}))"


def _where(condition: str) -> str:
    """The same of what a condition selects."""
    return f"if(countIf({condition}) = 0, 0, sumIf(cost, {condition}))"


WHOLE = (
    replace(
        SPEND,
        definition="What the calls of the month cost by the price book, with failed calls, retries "
        "and copies for comparison. Calls whose price or tokens are not known are not in it; page "
        "2 counts them.",
    ),
    CALLS,
    USERS,
    Measure(
        "per_user",
        "Spend per active user",
        "money",
        ratio("sum(cost)", "uniqExact(user)"),
        "All spend, also that of no user in particular, over the different users who made a call.",
    ),
    Measure(
        "wasted",
        "Failures and retries",
        "money",
        _of("wasted_calls", "wasted_cost"),
        "Spend on calls that failed (error, timeout, rate limit, cancelled) or repeated an earlier "
        "attempt. It is part of the spend; a failed retry counts once.",
    ),
    Measure(
        "wasted_share",
        "Failures and retries, of spend",
        "share",
        ratio(_of("wasted_calls", "wasted_cost"), "sum(cost)"),
        "Spend on failures and retries over all spend.",
    ),
    Measure(
        "failed",
        "of it on failed calls",
        "money",
        _of("failed_calls", "failed_cost"),
        "Spend on calls that ended by error, timeout, rate limit or cancellation.",
    ),
    Measure(
        "retried",
        "of it on repeated attempts",
        "money",
        _of("retries", "retry_cost"),
        "Spend on attempts after the first. A failed retry is here and in the figure before.",
    ),
    Measure(
        "wasted_calls",
        "Calls that failed or were repeats",
        "count",
        "sum(wasted_calls)",
        "How many calls failed or repeated an earlier attempt.",
        "calls",
    ),
    Measure(
        "cached_share",
        "Prompt tokens from providers' caches",
        "share",
        ratio(
            "sum(cache_read_tokens)", "sum(input_tokens + cache_read_tokens + cache_write_tokens)"
        ),
        "Prompt tokens that providers read from their caches, at a lower price, over all prompt "
        "tokens.",
    ),
    NOT_IN_COST,
    Measure(
        "not_in_cost_share",
        "Calls not in the spend, of all",
        "share",
        ratio("sum(unpriced_calls + calls_without_usage)", "sum(calls)"),
        "Calls without a known price or known tokens over all calls. What they cost is not known.",
    ),
    Measure(
        "estimated_share",
        "Calls with estimated tokens",
        "share",
        ratio("sum(estimated_calls)", "sum(calls)"),
        "Calls whose tokens the caller estimated, as the provider did not report them, over all.",
    ),
    Measure(
        "no_project_share",
        "Spend without a project",
        "share",
        ratio(_where("project IS NULL"), "sum(cost)"),
        "Spend of calls that name no project, over all spend.",
    ),
    Measure(
        "no_use_case_share",
        "Spend without a use case",
        "share",
        ratio(_where("use_case IS NULL"), "sum(cost)"),
        "Spend of calls that name no use case, over all spend.",
    ),
    Measure(
        "no_user_share",
        "Spend without a user",
        "share",
        ratio(_where("user IS NULL"), "sum(cost)"),
        "Spend of calls that name no user, over all spend. Batch work has none by its nature.",
    ),
)
"""Of all calls of the month."""

OWN = (
    Measure(
        "cheap_calls",
        "Calls on cost-optimised models",
        "share",
        ratio(f"sumIf(calls, {CHEAP})", "sum(calls)"),
        "Calls that a router or gateway gave the tier “cost-optimised”, over all calls, copies for "
        "comparison left out. Calls without a tier count in the whole. The line is 50 %.",
    ),
    Measure(
        "cheap_spend",
        "Spend on cost-optimised models",
        "share",
        ratio(_where(CHEAP), "sum(cost)"),
        "Spend of those calls over all spend, copies for comparison left out.",
    ),
    Measure(
        "tiered_calls",
        "Calls that name a tier",
        "share",
        ratio("sumIf(calls, routing_tier IS NOT NULL)", "sum(calls)"),
        "Calls of which a router or gateway said the tier, over all. The rest may be on any model.",
    ),
)
"""Of calls that are no copies for comparison (shadows)."""
