"""Shared costs: spend that is taken off whoever made it, and carried by other departments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from reports.chargeback.lines import Line
from reports.chargeback.rules import Shared
from reports.chargeback.shares import pico, shares


@dataclass(frozen=True, slots=True)
class SharedPart:
    """``units``: what a department (None: who names none) carries, in 1e-12 USD; negative for who
    hands it on, and ``lines`` are what it hands on. ``share``: of 1, None for who hands it on.
    """

    rule: str
    by: str
    department: str | None
    units: int
    share: Fraction | None = None
    lines: tuple[Line, ...] = ()


def shared_costs(lines: Sequence[Line], rules: Sequence[Shared]) -> list[SharedPart]:
    """The parts by rule; those of a rule come to nothing, so no cost is lost and none is made.

    A line is shared by the first rule that names it. Where nobody is there to carry a cost, it
    stays where it is.
    """
    sharing = [_rule_of(line, rules) for line in lines]
    kept = [line for line, rule in zip(lines, sharing, strict=True) if rule is None]
    found: list[SharedPart] = []
    for rule in rules:
        pool = [line for line, by in zip(lines, sharing, strict=True) if by is rule]
        weights = _weights(rule, kept)
        carriers = [name for name, weight in weights.items() if weight > 0]
        if not carriers or not pool:
            continue
        for department in dict.fromkeys(line.department for line in pool):
            own = tuple(line for line in pool if line.department == department)
            units = -sum(pico(line.cost) for line in own)
            found.append(SharedPart(rule.name, rule.by, department, units, None, own))
        whole = sum((weights[name] for name in carriers), Fraction(0))
        cost = sum(pico(line.cost) for line in pool)
        parts = shares(cost, [weights[name] for name in carriers])
        found += [
            SharedPart(rule.name, rule.by, name, units, weights[name] / whole)
            for name, units in zip(carriers, parts, strict=True)
        ]
    return found


def _rule_of(line: Line, rules: Sequence[Shared]) -> Shared | None:
    for rule in rules:
        if line.team in rule.teams or (rule.unattributed and line.department is None):
            return rule
    return None


def _weights(rule: Shared, kept: Iterable[Line]) -> Mapping[str, Fraction]:
    if rule.by == "fixed":
        return {name: Fraction(part) for name, part in sorted(rule.parts.items())}
    found: dict[str, Decimal] = {}
    for line in kept:
        if line.department is None:
            continue
        if rule.departments and line.department not in rule.departments:
            continue
        more = Decimal(line.calls) if rule.by == "calls" else Decimal(pico(line.cost))
        found[line.department] = found.get(line.department, Decimal(0)) + more
    return {name: max(Fraction(0), Fraction(weight)) for name, weight in sorted(found.items())}
