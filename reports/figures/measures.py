"""Measures of the ledger by day that several pages and reports show, with their definitions."""

from __future__ import annotations

from reports.figures.figure import Measure


def ratio(part: str, whole: str) -> str:
    """SQL of a part of a whole, 12 decimals, null where there is nothing to divide by.

    By 256 bits: to divide, ClickHouse makes the dividend longer by the divisor's decimals.
    """
    return f"toDecimal256({part}, 12) / nullIf(toDecimal256({whole}, 12), 0)"


def spent(cost: str = "cost", calls: str = "calls", *, where: str = "") -> str:
    """SQL of the money of calls: nothing where there are none, null where none of it is known."""
    amount, count = (
        f"sumIf({name}, {where})" if where else f"sum({name})" for name in (cost, calls)
    )
    return f"ifNull({amount}, if({count} = 0, 0, NULL))"


SPEND = Measure(
    "spend",
    "Spend",
    "money",
    spent(),
    "What the calls of the period cost by the price book, with failed calls, retries and shadow "
    "calls. Calls whose price or tokens are not known are not in it; data quality counts them.",
)
CALLS = Measure(
    "calls",
    "Calls",
    "count",
    "sum(calls)",
    "Calls of models, each attempt counted; a void takes one back.",
    "calls",
)
TOKENS = Measure(
    "tokens",
    "Tokens",
    "count",
    "sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens)",
    "All tokens of prompts and answers, those from a provider's cache included.",
    "tokens",
)
USERS = Measure(
    "users",
    "Active users",
    "count",
    "uniqExact(user)",
    "Different users who are named by at least one call of the period.",
    "users",
)
NOT_IN_COST = Measure(
    "not_in_cost",
    "Calls not in the spend",
    "count",
    "sum(unpriced_calls + calls_without_usage)",
    "Calls without a known price, or without known tokens. What they cost is not known.",
    "calls",
)
