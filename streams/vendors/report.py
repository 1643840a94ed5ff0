"""The comparison as one value: what is asked of ClickHouse, what is chosen, what it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from reports.vendors.compare import EXACT, Choice, Compared, Target, TokenRange, compare, total
from reports.vendors.usage import Days, LeftOut, Usage, read_left_out, read_usage
from sinks.clickhouse import ClickHouse
from streams.rating.pricebook import PriceBook
from streams.vendors.equivalents import Equivalent
from streams.vendors.pricing import BookPricer
from streams.vendors.token_range import range_between

Model = tuple[str, str]
NOTABLE = Decimal("0.005")
"""Share of a cost that the price book may differ from the ledger by before it is said: prompts of a
minute are priced by their average size, which blurs prices for long ones a little."""


@dataclass(frozen=True, slots=True)
class VendorReport:
    """``compared``: by cost, dearest model first, its cheapest target first, those that are not
    comparable last. ``uncompared``: priced models that nothing was chosen for, with their cost."""

    days: Days
    book: str
    compared: tuple[Compared, ...]
    uncompared: tuple[tuple[str, str, Decimal], ...]
    left_out: LeftOut

    @property
    def best(self) -> list[Compared]:
        """For each model the target with the lowest upper end, where even that is cheaper."""
        found: dict[Model, Compared] = {}
        for one in self.compared:
            key = one.choice.provider, one.choice.model
            if one.high is None or one.high >= one.cost:
                continue
            known = found.get(key)
            if known is None or known.high is None or one.high < known.high:
                found[key] = one
        return list(found.values())

    @property
    def saving(self) -> tuple[Decimal, Decimal]:
        """What all of `best` together would have saved, USD: at least, at most."""
        found = [one.differences for one in self.best if one.differences is not None]
        most, least = (EXACT.minus(total(end[n] for end in found)) for n in (0, 1))
        return least, most

    @property
    def rated_otherwise(self) -> list[Compared]:
        """One for each model whose cost in the ledger is not what the price book makes of it."""
        found: dict[Model, Compared] = {}
        for one in self.compared:
            if one.by_book is None or abs(one.by_book - one.cost) > NOTABLE * abs(one.cost):
                found.setdefault((one.choice.provider, one.choice.model), one)
        return list(found.values())


def choices_of(
    book: PriceBook,
    models: Iterable[Model],
    targets: Iterable[Target],
    equivalents: Iterable[Equivalent],
    tokens: TokenRange | None,
) -> list[Choice]:
    """What to compare: each model with each target but itself, and as the file says.

    A model is meant by its name in the events, and by the price list's name for it. A target
    without a model is every model's own, in that region. ``tokens``: for all, but those that the
    file says it for.
    """
    chosen: dict[tuple[Model, Target], Choice] = {}
    targets, equivalents = list(targets), list(equivalents)
    for provider, model in models:
        names = _names(book, provider, model)
        wanted = [
            (Target(one.provider or provider, one.model or model, one.region), tokens)
            for one in targets
        ]
        wanted += [
            (place.target, place.tokens or tokens)
            for entry in equivalents
            if entry.model.casefold() in names
            for place in entry.to
        ]
        for target, said in wanted:
            if target.region is None and f"{target.provider}/{target.model}".casefold() in names:
                continue
            span = said or range_between(book, provider, model, target)
            chosen[(provider, model), target] = Choice(provider, model, target, span)
    return list(chosen.values())


def vendor_report(
    clickhouse: ClickHouse, book: PriceBook, days: Days, choices: Sequence[Choice]
) -> VendorReport:
    """Ask ClickHouse, and price it. Raises ClickHouseError."""
    pricer = BookPricer(book)
    here = (Target(choice.provider, choice.model) for choice in choices)
    targets = dict.fromkeys((*here, *(choice.target for choice in choices)))
    keys = [(tier, region) for tier, region in _tiers_and_regions(clickhouse, days)]
    usage = read_usage(clickhouse, days, pricer.cuts(targets, keys, days.bounds))
    compared = compare(usage, choices, pricer)
    return VendorReport(
        days,
        book.version,
        tuple(sorted(compared, key=_dearest_first)),
        tuple(_uncompared(usage, choices)),
        read_left_out(clickhouse, days),
    )


def _tiers_and_regions(clickhouse: ClickHouse, days: Days) -> list[tuple[str | None, str | None]]:
    sql = (
        "SELECT DISTINCT service_tier, region FROM spend "
        "WHERE minute >= toDateTime({first:Int64}, 'UTC') "
        "AND minute < toDateTime({end:Int64}, 'UTC')"
    )
    return [(tier, region) for tier, region in clickhouse.query(sql, days.parameters)]


def _uncompared(
    usage: Sequence[Usage], choices: Sequence[Choice]
) -> list[tuple[str, str, Decimal]]:
    chosen = {(choice.provider, choice.model) for choice in choices}
    costs: dict[Model, list[Decimal]] = {}
    for one in usage:
        if (one.provider, one.model) not in chosen:
            costs.setdefault((one.provider, one.model), []).append(one.cost)
    found = [(*key, total(amounts)) for key, amounts in costs.items()]
    return sorted(found, key=lambda one: (-one[2], one[0], one[1]))


def _dearest_first(one: Compared) -> tuple[object, ...]:
    choice = one.choice
    unknown = one.high is None
    cheapest = Decimal(0) if one.high is None else one.high
    return -one.cost, choice.provider, choice.model, unknown, cheapest, str(choice.target)


def _names(book: PriceBook, provider: str, model: str) -> set[str]:
    """In lower case: as the events have it, and as the price list does (`gpt-4o-2024-08-06` is
    `openai/gpt-4o` there)."""
    found = book.list_prices.find(provider, model)
    listed = [f"{found[0]}/{found[1].model.id}"] if found else []
    return {name.casefold() for name in (f"{provider}/{model}", *listed)}
