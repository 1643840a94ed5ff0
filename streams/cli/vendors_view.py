"""Usage elsewhere as `spendstream report vendors` shows it: a table, or one JSON object."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.vendors.compare import ASSUMPTIONS, Compared
from schemas.journal import money_text
from streams.cli.consoles import plain_table
from streams.cli.usd_words import NOTHING, usd_text
from streams.vendors.report import VendorReport
from streams.vendors.token_range import range_text


def print_report(console: Console, found: VendorReport, *, all_models: bool) -> None:
    """The table, what is cheaper, and what it rests on. ``all_models``: none was asked for."""
    days = found.days
    whose = f", team {days.team}" if days.team else ""
    console.print(Text(f"The same usage elsewhere, {days.first} to {days.last} (UTC){whose}"))
    console.print(Text(f"by {found.book}\n"))
    if found.compared:
        console.print(_table(found.compared))
        _print_best(console, found)
    else:
        console.print("No model in use has one to compare it with.")
    _print_rest(console, found, all_models=all_models)


def _print_best(console: Console, found: VendorReport) -> None:
    best = found.best
    if not best:
        console.print("\nNothing is cheaper over its whole range.", style="bold")
        return
    least, most = found.saving
    each = ", ".join(
        f"{one.choice.provider}/{one.choice.model} → {one.choice.target}" for one in best
    )
    console.print(
        Text(f"\nCheaper over its whole range, together by {_range(least, most)}: {each}"),
        style="bold",
    )


def _print_rest(console: Console, found: VendorReport, *, all_models: bool) -> None:
    notes = [f"assumed: {words}" for words in ASSUMPTIONS]
    spans = sorted({range_text(one.choice.tokens) for one in found.compared} - {"1"})
    if spans:
        notes.insert(
            0,
            f"assumed: tokenisers differ, so {' or '.join(spans)} tokens there for each here (the "
            "range; --tokens), and as many where it is the same model",
        )
    if any(one.stands_in for one in found.compared):
        notes.append(
            "* a tier such as batch has no price known there: its standard price stands in"
        )
    notes += [
        f"{one.choice.provider}/{one.choice.model} was counted as {usd_text(one.cost)}; this price "
        f"book makes it {usd_text(one.by_book)}: it was rated at "
        "other prices, or trued up (spendstream prices check)"
        for one in found.rated_otherwise
    ]
    if found.uncompared and all_models:
        names = ", ".join(f"{p}/{m} ({usd_text(cost)})" for p, m, cost in found.uncompared[:5])
        more = len(found.uncompared) - 5
        notes.append(
            f"not compared, as nothing is chosen for them: {names}"
            + (f" and {more} more" if more > 0 else "")
        )
    left = found.left_out
    for count, why in (
        (left.unpriced, "have no price here"),
        (left.without_usage, "have no known tokens"),
        (left.from_cache, "were answered by a cache"),
    ):
        if count:
            notes.append(f"not compared: {count:,} calls that {why}")
    for note in notes:
        console.print(Text(note), style="dim")


def _table(compared: Iterable[Compared]) -> Table:
    heads = ("model", "calls", "cost", "elsewhere", "would have cost", "difference")
    table = plain_table(heads, numbers={1, 2, 4, 5})
    before = None
    for one in compared:
        name = f"{one.choice.provider}/{one.choice.model}"
        again = name == before
        before = name
        here = ("", "", "") if again else (name, f"{one.calls:,}", usd_text(one.cost))
        there = str(one.choice.target) + (" *" if one.stands_in else "")
        row = (*here, there, *_cells(one))
        table.add_row(*map(Text, row))  # texts, as a name may look like markup
    return table


def _cells(one: Compared) -> tuple[str, str]:
    if one.low is None or one.high is None:
        names = ", ".join(name.removesuffix("_tokens") for name in one.missing)
        return f"not comparable: no {names.removeprefix('any ')} known there", NOTHING
    return _range(one.low, one.high), _percents(one)


def _percents(one: Compared) -> str:
    if one.differences is None or one.cost <= 0:
        return NOTHING
    ends = [f"{100 * end / one.cost:+.1f} %" for end in one.differences]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _range(low: Decimal, high: Decimal) -> str:
    return usd_text(low) if low == high else f"{usd_text(low)} to {usd_text(high)}"


def as_document(found: VendorReport) -> dict[str, Any]:
    """For machines; costs are USD, exact decimal text, null where not comparable."""
    left = found.left_out
    return {
        "from": str(found.days.first),
        "to": str(found.days.last),
        "team": found.days.team,
        "book": found.book,
        "assumptions": list(ASSUMPTIONS),
        "compared": [_compared(one) for one in found.compared],
        "cheaper_over_the_whole_range": [
            {
                "provider": one.choice.provider,
                "model": one.choice.model,
                "to": str(one.choice.target),
            }
            for one in found.best
        ],
        "not_chosen": [
            {"provider": p, "model": m, "cost_usd": money_text(cost)}
            for p, m, cost in found.uncompared
        ],
        "not_compared_calls": {
            "unpriced": left.unpriced,
            "no_usage": left.without_usage,
            "from_cache": left.from_cache,
        },
    }


def _compared(one: Compared) -> dict[str, Any]:
    choice, target = one.choice, one.choice.target
    differences = one.differences
    return {
        "provider": choice.provider,
        "model": choice.model,
        "calls": one.calls,
        "cost_usd": money_text(one.cost),
        "cost_by_book_usd": None if one.by_book is None else money_text(one.by_book),
        "to_provider": target.provider,
        "to_model": target.model,
        "to_region": target.region,
        "tokens_for_each": range_text(choice.tokens),
        "low_usd": None if one.low is None else money_text(one.low),
        "high_usd": None if one.high is None else money_text(one.high),
        "low_difference_usd": money_text(differences[0]) if differences else None,
        "high_difference_usd": money_text(differences[1]) if differences else None,
        "missing_rates": list(one.missing),
        "price_refs": list(one.prices),
        "standard_price_stands_in": one.stands_in,
    }
