"""The table of thresholds: what each layer is measured by, and how much each level asks for.

The thresholds are our own, from no standard: a tenth is a beginning, a half is use, nine tenths are
management; the line of 50 % of calls on cost-optimised models is the one of the routing report.
Change them here, and docs/maturity.md, which a test compares.
"""

from __future__ import annotations

from decimal import Decimal

from reports.figures.measures import ratio
from reports.maturity.model import Criterion, Layer

LAYERS: tuple[Layer, ...] = ("visibility", "routing", "prompts", "vendors")


def _needs(*levels: str | None) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    one, two, three = (None if level is None else Decimal(level) for level in levels)
    return one, two, three


def _named(dimension: str) -> str:
    """Share of spend whose calls name one: nothing, and not unknown, where none does."""
    return ratio(f"ifNull(sumIf(cost, {dimension} IS NOT NULL), 0)", "sum(cost)")


CRITERIA: tuple[Criterion, ...] = (
    Criterion("priced", "visibility", "Calls with a known cost", "share",
              _needs("0.8", "0.95", "0.99"), ratio("sum(priced_calls)", "sum(calls)"),
              "Calls with known tokens and a known price, of all calls."),
    Criterion("with_project", "visibility", "Spend that names a project", "share",
              _needs("0.1", "0.5", "0.9"), _named("project"),
              "Spend of calls that name a project, of all spend."),
    Criterion("with_use_case", "visibility", "Spend that names a use case", "share",
              _needs(None, "0.5", "0.9"), _named("use_case"),
              "Spend of calls that name a use case, of all spend."),
    Criterion("with_user", "visibility", "Spend that names a user", "share",
              _needs(None, None, "0.5"), _named("user"),
              "Spend of calls that name a user, of all spend; batch work names none."),
    Criterion("budgets", "visibility", "Budgets in force", "count",
              _needs(None, "1", "2"), "uniqExact(budget)",
              "Different budgets that somebody has a share of in a period that touches these days.",
              source="budgets"),
    Criterion("outcomes", "visibility", "Kinds of business outcomes", "count",
              _needs(None, None, "1"), "uniqExact(name)",
              "Different names of outcomes reported in these days, scores of quality left out.",
              source="outcomes"),
    Criterion("tiered", "routing", "Calls that name a tier", "share",
              _needs("0.1", "0.5", "0.9"),
              ratio("sumIf(calls, routing_tier IS NOT NULL)", "sum(calls)"),
              "Calls whose tier a router or gateway said, of all but shadows.", source="own"),
    Criterion("cheap", "routing", "Calls on cost-optimised models", "share",
              _needs(None, "0.25", "0.5"),
              ratio("sumIf(calls, routing_tier = 'cost-optimised')", "sum(calls)"),
              "Calls with the tier cost-optimised, of all that are no shadows.", source="own"),
    Criterion("shadowed", "routing", "Shadow calls", "count",
              _needs(None, None, "100"), "sumIf(calls, is_shadow)",
              "Copies of calls that a cheaper tier answered, for comparison."),
    Criterion("judged", "routing", "Scores of quality", "count",
              _needs(None, None, "100"), "count()",
              "Outcomes named quality in these days: whether cheaper answers are as good.",
              source="quality"),
    Criterion("cached", "prompts", "Prompt tokens from providers' caches", "share",
              _needs("0.01", "0.1", "0.3"),
              ratio("sum(cache_read_tokens)",
                    "sum(input_tokens + cache_read_tokens + cache_write_tokens)"),
              "Prompt tokens that providers read from their caches, of all prompt tokens."),
    Criterion("hashed", "prompts", "Calls with a prompt hash", "share",
              _needs(None, "0.5", "0.9"),
              ratio("countIf(prompt_hash IS NOT NULL)", "count()"),
              "Calls that say the hash of their prompt, of all: only so are repeats known.",
              source="archive"),
    Criterion("repeated", "prompts", "Calls that repeat a prompt", "share",
              _needs(None, "0.15", "0.05"),
              ratio("countIf(prompt_hash IS NOT NULL) - uniqExact(team, prompt_hash)",
                    "countIf(prompt_hash IS NOT NULL)"),
              "Calls beyond the first of a team with the same prompt, of those with a prompt hash, "
              "answers of gateways' caches left out.", source="paid", at_most=True),
    Criterion("bloat", "prompts", "Alerts of growing context", "count",
              _needs(None, None, "0"), "count()",
              "Alerts context_bloat that opened in these days.", source="bloat", at_most=True),
    Criterion("vendors", "vendors", "Vendors with a part of the spend", "count",
              _needs("1", "2", "2"), "countIf(cost > 0)",
              "Providers that something was spent at in these days.", source="providers"),
    Criterion("own_prices", "vendors", "Prices of one's own", "count",
              _needs(None, "1", "1"), "uniqExact(provider, model)",
              "Models with a recorded price that is not the list's: a discount or an agreement.",
              source="own_prices"),
    Criterion("agreements", "vendors", "Agreements counted", "count",
              _needs(None, None, "1"), "uniqExact(splitByChar('/', adjustment_id)[3])",
              "Agreements (volume steps, committed use) that were applied to these days.",
              source="agreements"),
    Criterion("invoices", "vendors", "Months with an invoice", "count",
              _needs(None, "1", "1"), "uniqExact(toStartOfMonth(day))",
              "Months that these days touch for which a provider's invoice was imported.",
              source="invoices"),
    Criterion("batch", "vendors", "Spend at batch and flex prices", "share",
              _needs(None, None, "0.1"),
              ratio("ifNull(sumIf(cost, service_tier IN ('batch', 'flex')), 0)", "sum(cost)"),
              "Spend of calls in the tiers batch and flex, which can wait and cost less, of all."),
)  # fmt: skip
"""At least so much for level 1 (begun), 2 (in use) and 3 (managed)."""
