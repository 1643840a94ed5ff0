"""Statements: the lines of a month by department, with shared costs, markup and a currency.

Everything is whole units of the ledger (1e-12 USD), so all statements together come to exactly
the ledger and the markup. In the currency of the statements, all of them together come to the
converted total, rounded once; parts are rounded so that they add up (`reports.chargeback.shares`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from reports.chargeback.lines import Line
from reports.chargeback.rules import Rules
from reports.chargeback.shared_costs import SharedPart, shared_costs
from reports.chargeback.shares import nearest_whole, pico, rounded_parts, usd


@dataclass(frozen=True, slots=True)
class Item:
    """A line of usage and what is charged for it. ``markup`` and ``total``: USD, exact;
    ``amount``: in the statement's currency. The cost is that of the line, None where not known.
    """

    line: Line
    markup: Decimal
    total: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class SharedItem:
    """A part of shared costs, or what is taken off whoever shares them: negative then."""

    part: SharedPart
    total: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """What a department (None: who names none) is charged. All but ``amount`` in USD, exact."""

    department: str | None
    percent: Decimal
    items: tuple[Item, ...]
    shared: tuple[SharedItem, ...]
    usage: Decimal
    restated: Decimal
    shared_cost: Decimal
    markup: Decimal
    total: Decimal
    amount: Decimal

    @property
    def unpriced(self) -> int:
        """Calls that no price is known of: they are not charged."""
        return sum(item.line.unpriced for item in self.items)


def statements(lines: Sequence[Line], rules: Rules) -> list[Statement]:
    """One for each department that has usage or carries shared costs, by name; None comes last."""
    shared = shared_costs(lines, rules.shared)
    departments = {line.department for line in lines} | {part.department for part in shared}
    drafts = [
        _draft(department, lines, shared, rules)
        for department in sorted(departments, key=lambda name: (name is None, name or ""))
    ]
    amounts = _amounts([draft.total for draft in drafts], rules)
    return [_statement(draft, amount, rules) for draft, amount in zip(drafts, amounts, strict=True)]


@dataclass(frozen=True, slots=True)
class _Draft:
    department: str | None
    percent: Decimal
    lines: tuple[Line, ...]
    markups: tuple[int, ...]
    shared: tuple[SharedPart, ...]

    @property
    def parts(self) -> list[int]:
        """Of every line and every shared cost, in order."""
        own = [
            pico(line.cost) + markup for line, markup in zip(self.lines, self.markups, strict=True)
        ]
        return [*own, *(part.units for part in self.shared)]

    @property
    def total(self) -> int:
        return sum(self.parts)


def _draft(
    department: str | None, lines: Sequence[Line], shared: Sequence[SharedPart], rules: Rules
) -> _Draft:
    own = tuple(line for line in lines if line.department == department)
    parts = tuple(part for part in shared if part.department == department)
    percent = rules.percent(department)
    # On what a department used itself: what it hands on to others as shared costs is left out.
    kept = {line: Fraction(pico(line.cost)) for line in own}
    handed_on = {line for part in parts for line in part.lines}
    exact = [
        Fraction(0) if line in handed_on else kept[line] * Fraction(percent) / 100 for line in own
    ]
    markups = rounded_parts(exact, nearest_whole(sum(exact, Fraction(0))))
    return _Draft(department, percent, own, tuple(markups), parts)


def _statement(draft: _Draft, amount: int, rules: Rules) -> Statement:
    amounts = _amounts_within(draft, amount, rules)
    size = len(draft.lines)
    items = tuple(
        Item(line, usd(markup), usd(pico(line.cost) + markup), _money(units, rules))
        for line, markup, units in zip(draft.lines, draft.markups, amounts[:size], strict=True)
    )
    shared = tuple(
        SharedItem(part, usd(part.units), _money(units, rules))
        for part, units in zip(draft.shared, amounts[size:], strict=True)
    )
    own = [line for line in draft.lines if line.restated is None]
    restated = [line for line in draft.lines if line.restated is not None]
    return Statement(
        department=draft.department,
        percent=draft.percent,
        items=items,
        shared=shared,
        usage=usd(sum(pico(line.cost) for line in own)),
        restated=usd(sum(pico(line.cost) for line in restated)),
        shared_cost=usd(sum(part.units for part in draft.shared)),
        markup=usd(sum(draft.markups)),
        total=usd(draft.total),
        amount=_money(amount, rules),
    )


def _scale(rules: Rules) -> Fraction:
    """Smallest units of the currency for a unit of the ledger."""
    return Fraction(rules.rate) * Fraction(10**rules.decimals, 10**12)


def _amounts(totals: Sequence[int], rules: Rules) -> list[int]:
    exact = [total * _scale(rules) for total in totals]
    return rounded_parts(exact, nearest_whole(sum(exact, Fraction(0))))


def _amounts_within(draft: _Draft, amount: int, rules: Rules) -> list[int]:
    """Of every part: first teams and shared costs add up to the statement, then lines to teams."""
    exact = [part * _scale(rules) for part in draft.parts]
    groups: dict[object, list[int]] = {}
    for index in range(len(exact)):
        line = draft.lines[index] if index < len(draft.lines) else None
        group = index if line is None else (line.team, line.restated is None)
        groups.setdefault(group, []).append(index)
    sums = [sum((exact[index] for index in indices), Fraction(0)) for indices in groups.values()]
    found = [0] * len(exact)
    for indices, whole in zip(groups.values(), rounded_parts(sums, amount), strict=True):
        parts = rounded_parts([exact[index] for index in indices], whole)
        for index, part in zip(indices, parts, strict=True):
            found[index] = part
    return found


def _money(units: int, rules: Rules) -> Decimal:
    with localcontext(prec=80):
        return Decimal(units).scaleb(-rules.decimals)


def summed(found: Sequence[Statement]) -> Mapping[str, Decimal]:
    """What all statements come to: usage, restated, shared_cost, markup, total and amount."""
    names = ("usage", "restated", "shared_cost", "markup", "total", "amount")
    return {name: sum((getattr(one, name) for one in found), Decimal(0)) for name in names}
