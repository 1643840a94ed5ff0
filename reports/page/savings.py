"""`/savings`: what would be saved, by what, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from reports.figures.archive import small_enough
from reports.figures.lens import Lens
from reports.page.asked import Asked
from reports.page.content import Content, Estimate, Section
from reports.page.prompts import too_many
from reports.page.words import money
from reports.savings import Range, Saving, Span, savings
from sinks.clickhouse import ClickHouse

_NARROWED = "team"
"""The one thing that savings can be narrowed to."""


def savings_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    if not small_enough(clickhouse, lens):
        return Content("Savings", [Section("What would be saved", notes=[too_many()])])
    teams = lens.scope.get(_NARROWED, ())
    team = teams[0] if len(teams) == 1 else None
    found = savings(clickhouse, Span(lens.period.first, lens.period.last, team, lens.viewer))
    total = "Nothing can be estimated yet."
    if found.total is not None:
        total = (
            f"All of it together: {range_text(found.total)} of {_usd(found.cost)} for "
            f"{found.calls:,} calls, without shadow calls. Nothing is counted twice in it."
        )
    return Content(
        "Savings",
        [
            Section(
                "What would be saved",
                lead=total,
                notes=[
                    "Estimates for this period, in USD: from the cautious case to the hopeful one. "
                    "They are no promise; each says what it rests on.",
                    *_not_narrowed(lens, team),
                ],
                estimates=[estimate(one) for one in found.kinds],
                links={"Routing day by day": asked.url("/routing")},
            )
        ],
    )


def estimate(one: Saving) -> Estimate:
    """One kind of saving in words."""
    return Estimate(
        name=one.kind,
        title=one.title,
        alone=range_text(one.alone),
        added="not part of the total" if one.added is None else range_text(one.added),
        about=f"{_sentence(one.looked_at)}: {one.calls:,} calls, {_usd(one.cost)}",
        evidence=[
            f"{fact.name}: "
            f"{_usd(fact.value) if isinstance(fact.value, Decimal) else f'{fact.value:,}'}"
            for fact in one.evidence
        ],
        parts=[
            f"{part.name}: {range_text(part.alone)} of {_usd(part.cost)} for {part.calls:,} calls"
            + (f" ({part.note})" if part.note else "")
            for part in one.parts
        ],
        assumptions=one.assumptions,
        not_estimated=one.not_estimated,
        sql=one.sql,
    )


def range_text(saved: Range | None) -> str:
    """`$1.20 to $3.40`; one amount where the ends read the same; – where it is not known."""
    if saved is None:
        return "–"
    low, high = (_usd(end) for end in sorted((saved.low, saved.high)))
    return low if low == high else f"{low} to {high}"


def _not_narrowed(lens: Lens, team: str | None) -> Iterator[str]:
    left = [name for name in lens.scope if name != _NARROWED or team is None]
    if left:
        names = ", ".join(name.replace("_", " ") for name in left)
        yield f"Savings are narrowed to one team at most: not by {names}."


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _usd(amount: Decimal | None) -> str:
    return "–" if amount is None else money(amount, "USD")
