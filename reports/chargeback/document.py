"""A statement as rows and words: what CSV, Excel and PDF have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from reports.chargeback.boundaries import Asof
from reports.chargeback.rules import Rules
from reports.chargeback.statement import Item, SharedItem, Statement

NO_DEPARTMENT = "No department"
COLUMNS = (
    *("month", "department", "kind", "restates", "reason", "team", "project", "use_case"),
    *("provider", "model", "calls", "tokens", "calls_without_cost", "cost_usd", "markup_usd"),
    *("total_usd", "currency", "rate", "amount"),
)
"""Of a line. ``cost_usd`` is empty where no price is known; all USD are exact."""
KINDS = {"usage": "usage", "restated": "restated", "shared": "shared cost"}


@dataclass(frozen=True, slots=True)
class Paper:
    """A statement with what it rests on."""

    statement: Statement
    asof: Asof
    rules: Rules

    @property
    def department(self) -> str:
        """Whose it is, in words."""
        return self.statement.department or NO_DEPARTMENT

    @property
    def standing(self) -> str:
        """Whether the month is closed, in words."""
        closing = self.asof.closing
        if closing is None:
            return "The month is not closed: these figures may still change."
        return (
            f"As of closing {closing.number} of {closing.closed_at:%Y-%m-%d %H:%M} UTC by "
            f"{closing.by}{f' ({closing.why})' if closing.why else ''}."
        )

    @property
    def unpriced(self) -> str | None:
        """How many calls are not charged, in words; None where there are none."""
        count = self.statement.unpriced
        if not count:
            return None
        calls, are = ("1 call has", "is") if count == 1 else (f"{count:,} calls have", "are")
        return f"{calls} no known price and {are} not charged."

    @property
    def conversion(self) -> str:
        """Where the amounts come from, in words."""
        rules = self.rules
        if rules.rate_since is None:
            return "Amounts are in USD, rounded so that they add up; exact figures stand beside."
        return (
            f"1 USD is {rules.rate.normalize():f} {rules.currency}, the rate that holds from "
            f"{rules.rate_since} on; amounts are rounded so that they add up."
        )


def rows(paper: Paper) -> Iterator[dict[str, str]]:
    """Its lines, by column; money as exact decimal text."""
    statement, rules = paper.statement, paper.rules
    common = {
        "month": f"{paper.asof.month:%Y-%m}",
        "department": statement.department or "",
        "currency": rules.currency,
        "rate": f"{rules.rate.normalize():f}",
    }
    for item in statement.items:
        yield dict.fromkeys(COLUMNS, "") | common | _of_usage(item)
    for shared in statement.shared:
        yield dict.fromkeys(COLUMNS, "") | common | _of_shared(shared)


def _of_usage(item: Item) -> dict[str, str]:
    line = item.line
    return {
        "kind": KINDS["usage" if line.restated is None else "restated"],
        "restates": "" if line.restated is None else f"{line.month:%Y-%m}",
        "reason": line.restated or "",
        "team": line.team,
        "project": line.project or "",
        "use_case": line.use_case or "",
        "provider": line.provider,
        "model": line.model,
        "calls": str(line.calls),
        "tokens": str(line.tokens),
        "calls_without_cost": str(line.unpriced),
        "cost_usd": "" if line.cost is None else exact(line.cost),
        "markup_usd": exact(item.markup),
        "total_usd": exact(item.total),
        "amount": f"{item.amount:f}",
    }


def _of_shared(shared: SharedItem) -> dict[str, str]:
    return {
        "kind": KINDS["shared"],
        "reason": shared_words(shared),
        "cost_usd": exact(shared.total),
        "markup_usd": "0",
        "total_usd": exact(shared.total),
        "amount": f"{shared.amount:f}",
    }


def shared_words(shared: SharedItem) -> str:
    """`Platform: 31.25 % by spend`, or that the cost is handed on."""
    part = shared.part
    if part.share is None:
        return f"{part.rule}: handed on to those who share it"
    percent = 100 * Decimal(part.share.numerator) / Decimal(part.share.denominator)
    how = "fixed shares" if part.by == "fixed" else part.by
    return f"{part.rule}: {percent:.2f} % by {how}"


def exact(amount: Decimal) -> str:
    """USD in full, without needless zeros: `0.000012`, `-3.5`."""
    return f"{amount.normalize():f}" if amount else "0"


def file_names(found: Sequence[Statement], month: str) -> list[str]:
    """A name for each statement, without its ending: `statement-2026-11-research-and-dev`.

    Departments whose names come to the same are numbered.
    """
    names: list[str] = []
    for statement in found:
        name = statement.department or NO_DEPARTMENT
        plain = re.sub(r"[^a-z0-9]+", "-", name.casefold().replace("&", " and ")).strip("-")
        stem = f"statement-{month}-{plain or 'department'}"
        taken = sum(known == stem or known.startswith(f"{stem}~") for known in names)
        names.append(f"{stem}~{taken + 1}" if taken else stem)
    return names
