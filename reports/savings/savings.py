"""The report as one value: every kind, and the total in which nothing is counted twice."""

from __future__ import annotations

from collections.abc import Iterable

from reports.routing.figures import Span, read_pairs, total
from reports.savings.asked import Asked
from reports.savings.elsewhere import ways_of_names
from reports.savings.found import Found
from reports.savings.model import Range, Saving, Savings, Terms
from reports.savings.read import read_groups, read_growth, read_waste
from reports.savings.repeats import duplicates, prefixes
from reports.savings.route import Routes, ways_of_pairs
from reports.savings.routing import routing
from reports.savings.waste import context, retries
from sinks.clickhouse import ClickHouse

KINDS = (duplicates, prefixes, routing, retries, context)
"""In the order in which they are taken off."""
DEFAULT = Terms()


def savings(clickhouse: ClickHouse, span: Span, terms: Terms = DEFAULT) -> Savings:
    """What would have been saved on these days. Reads only; blocks. Raises ClickHouseError."""
    asked = Asked(span, terms)
    waste = read_waste(clickhouse, asked)
    if not waste.calls:  # the archive is not searched for what the ledger does not have
        return Savings(span, 0, waste.cost, (), None)
    pairs = read_pairs(clickhouse, span)
    named, not_named = ways_of_names(clickhouse, asked)
    found = Found(
        asked,
        read_groups(clickhouse, asked, hopeful=False),
        read_groups(clickhouse, asked, hopeful=True),
        Routes(named | ways_of_pairs(pairs, terms.tolerated_loss), pairs, not_named),
        waste,
        read_growth(clickhouse, asked, waste.calls),
    )
    kinds = tuple(kind(found) for kind in KINDS)
    return Savings(span, waste.calls, waste.cost, kinds, _total(kinds))


def _total(kinds: Iterable[Saving]) -> Range | None:
    added = [one.added for one in kinds if one.added is not None]
    if not added:
        return None
    return Range(total(one.low for one in added), total(one.high for one in added))
