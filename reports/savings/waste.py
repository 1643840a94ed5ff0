"""What failed and was asked again, and prompts that grow within a workflow. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from reports.routing.figures import EXACT, total
from reports.savings.found import Found
from reports.savings.model import Evidence, Range, Saving
from reports.savings.read import Group
from reports.savings.repeats import RECORDING
from reports.savings.route import Routes

_FAILED = """
SELECT sum(failed_cost) + sum(retry_cost) - sum(wasted_cost) AS low, sum(failed_cost) AS high
FROM spend_by_day WHERE {days} AND NOT is_shadow AND {scope}
"""
_GROWN = "SELECT 0 AS low, sum(grown_cost) AS high FROM {growth} WHERE {scope}"


def retries(found: Found) -> Saving:
    """Calls that were paid for and brought no answer."""
    waste = found.waste
    both = EXACT.add(waste.failed_cost, waste.retry_cost)
    return Saving(
        kind="retries",
        title="Retries and failures",
        looked_at="calls that failed, and attempts after the first",
        calls=waste.wasted_calls,
        cost=waste.wasted_cost,
        # Of the ledger by day: what is in both sums is retries that failed again.
        alone=Range(EXACT.subtract(both, waste.wasted_cost), waste.failed_cost),
        added=Range(
            _left(found.cautious, found.routes, hopeful=False),
            _left(found.hopeful, found.routes, hopeful=True),
        ),
        evidence=(
            Evidence("failed calls", waste.failed_calls),
            Evidence("their cost", waste.failed_cost),
            Evidence("attempts after the first", waste.retries),
            Evidence("their cost", waste.retry_cost),
        ),
        assumptions=(
            "An attempt that ended well is no waste: somebody has the answer.",
            "Low: a retry budget and backoff spare the attempts that failed again. High: backoff "
            "and a circuit breaker spare every failed call that was billed.",
        ),
        not_estimated=(),
        sql=found.asked.query(_FAILED).text,
    )


def context(found: Found) -> Saving:
    """Workflows whose prompts grow call by call: an upper bound, and no part of the total."""
    growth, first = found.growth, found.terms.first_calls
    missing = []
    if not growth.workflows:
        missing.append(f"no workflow has more than {first} calls: let the producer send `workflow`")
    if growth.unrated_tokens:
        missing.append(
            f"{growth.unrated_tokens:,} tokens: no rates are recorded for the prices of these "
            f"calls; {RECORDING}"
        )
    known = growth.workflows > 0 and growth.unrated_tokens <= growth.grown_tokens // 2
    return Saving(
        kind="context",
        title="Growing context",
        looked_at=f"calls of workflows with more than {first} calls",
        calls=growth.calls,
        cost=growth.cost,
        alone=Range(Decimal(0), growth.grown_cost) if known else None,
        added=None,
        evidence=(
            Evidence("workflows", growth.workflows),
            Evidence("of them growing", growth.growing),
            Evidence("prompt tokens", growth.prompt_tokens),
            Evidence("of them beyond the beginning's", growth.grown_tokens),
        ),
        assumptions=(
            "An upper bound, and no part of the total: what prompts have beyond the median of "
            f"their workflow's first {first} calls, at each call's own mean price of a prompt "
            "token, as if none of it were needed. How much is, only the application knows.",
        ),
        not_estimated=tuple(missing),
        sql=found.asked.query(_GROWN).text,
    )


def _left(groups: Iterable[Group], routes: Routes, *, hopeful: bool) -> Decimal:
    """What failed calls cost when all kinds before are taken off; low: only failed retries."""
    failed = [one for one in groups if one.is_failed and (hopeful or one.is_retry)]
    routed = routes.saved(failed, lambda one: one.cost_left, hopeful=hopeful)
    return EXACT.subtract(total(one.cost_left for one in failed), routed)
