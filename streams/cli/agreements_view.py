"""Agreements and their months in words: for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.figures.period import Period
from schemas.journal import money_text
from sinks.amounts import limit_text, number_text
from streams.agreements.book import Agreement, Commitment, Step, Volume
from streams.agreements.statement import Statement, Statements
from streams.agreements.terms import break_even, next_step, step_reached, utilisation
from streams.cli.usd_words import NOTHING, pico_text, signed_pico
from streams.guard.money import usd

Fact = tuple[str, str]


def terms_words(agreement: Agreement) -> str:
    """One line: of what, from when, what it gives."""
    models = ", ".join(agreement.models) or "all models"
    until = f" until {agreement.effective_until:%Y-%m}" if agreement.effective_until else ""
    state = "proposed, " if agreement.proposed else ""
    when = f"{state}from {agreement.effective_from:%Y-%m}{until}"
    return f"{agreement.provider}, {models}, {when}: {'; '.join(_terms(agreement))}"


def _terms(agreement: Agreement) -> Iterator[str]:
    if (volume := agreement.volume) is not None:
        of = "the part above" if volume.rebate_on == "part_above" else "all of the month"
        for step in volume.steps:
            yield f"above {_above(volume, step)} {_percent(step.percent)} off {of}"
    if (terms := agreement.commitment) is not None:
        yield (
            f"{limit_text(terms.monthly_usd, 'USD')} a month whatever is used, "
            f"{_percent(terms.percent)} off"
        )
        yield f"beyond that {'the same' if terms.overage == 'discounted' else 'no discount'}"
        if terms.shortfall_to:
            yield f"team {terms.shortfall_to} bears what is not used"


def print_statements(console: Console, found: Statements, today: date) -> None:
    """Every agreement with its figures. ``today``: UTC, to tell whether the month is over."""
    over = today > Period.month_of(found.month).last
    so_far = "" if over else f", so far (to {today})"
    console.print(Text(f"Agreements in {found.month:%Y-%m} (UTC){so_far}"))
    for one in found.statements:
        what = " (proposed: what if)" if one.agreement.proposed else ""
        console.print(Text(f"\n{one.agreement.name}{what}", style="bold"))
        console.print(Text(terms_words(one.agreement), style="dim"))
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        for name, value in (*_facts(one), *_instead_of(one, found)):
            table.add_row(Text(f"  {name}"), Text(value))
        console.print(table)
    for name in found.strangers:
        console.print(
            Text(
                f"\nthe ledger was trued up for {name!r}, which the file does not have as signed: "
                "a name is an agreement's identity; bring it back, with effective_until where it "
                "has ended"
            ),
            style="yellow",
        )
    console.print(
        "\nSpend is as the ledger counted it by price lists, without true-ups; docs/agreements.md",
        style="dim",
    )


def _facts(one: Statement) -> Iterator[Fact]:
    settled = one.settled
    yield "eligible spend", pico_text(settled.eligible.spend)
    if not one.spent.places:
        yield "note", "no call of this month has this provider and these models"
    if one.spent.unknown:
        yield "not in it", f"{one.spent.unknown:,} calls whose cost is not known"
    if not one.in_force:
        yield "in force", "not in this month"
    elif one.agreement.volume is not None:
        yield from _volume_facts(one, one.agreement.volume)
    elif one.agreement.commitment is not None:
        yield from _commitment_facts(one, one.agreement.commitment)
    if one.in_force:
        yield "owed", f"{pico_text(settled.owed)}, {_saved(settled.saved)}"
    if one.agreement.proposed:
        return
    held, left = sum(one.applied.values()), one.outstanding
    if one.has_no_bearer:
        yield (
            "in the ledger",
            f"{signed_pico(held)}; the shortfall has nobody to go to (shortfall_to)",
        )
    elif one.to_apply():  # parts may differ where their sum does not: late spend moves them
        yield "in the ledger", f"{signed_pico(held)}; {signed_pico(left)} to apply"
    else:
        yield (
            "in the ledger",
            f"{signed_pico(held)}: all of it" if held else "nothing, and nothing is due",
        )


def _instead_of(one: Statement, found: Statements) -> Iterator[Fact]:
    """What a proposed agreement would save beside those that it would replace."""
    if not one.agreement.proposed:
        return
    replaced = [
        other
        for other in found.statements
        if not other.agreement.proposed and other.in_force and one.agreement.shares(other.agreement)
    ]
    if replaced:
        names = ", ".join(other.agreement.name for other in replaced)
        now = sum(other.settled.saved for other in replaced)
        yield f"instead of {names}", _saved(one.settled.saved - now, "now")


def _volume_facts(one: Statement, volume: Volume) -> Iterator[Fact]:
    eligible = one.settled.eligible
    if volume.measure == "tokens":
        yield "tokens", number_text(eligible.tokens)
    reached = step_reached(volume, eligible)
    yield (
        "step reached",
        "none"
        if reached is None
        else f"above {_above(volume, reached)}: {_percent(reached.percent)}",
    )
    if (following := next_step(volume, eligible)) is not None:
        step, more = following
        missing = pico_text(more) if volume.measure == "spend" else f"{number_text(more)} tokens"
        yield (
            "next step",
            f"above {_above(volume, step)}: {_percent(step.percent)}, {missing} away",
        )
    yield "rebate", pico_text(one.settled.rebate)
    yield "coverage", f"{_share(one.settled.coverage)} of the spend earns it"


def _commitment_facts(one: Statement, terms: Commitment) -> Iterator[Fact]:
    settled = one.settled
    yield (
        "utilisation",
        f"{_share(utilisation(terms, settled))}: {pico_text(settled.used)} of "
        f"{limit_text(terms.monthly_usd, 'USD')}",
    )
    yield "coverage", f"{_share(settled.coverage)} of the spend is discounted"
    yield "discount", pico_text(settled.rebate)
    yield (
        "shortfall",
        pico_text(settled.shortfall) + (" (paid, not used)" if settled.shortfall else ""),
    )
    even = break_even(terms)
    distance = settled.eligible.spend - even
    side = f"{pico_text(abs(distance))} {'above' if distance >= 0 else 'below'}"
    yield "break-even", f"pays from {pico_text(even)} of spend a month on; this month is {side}"


def as_document(found: Statements) -> dict[str, Any]:
    """For machines: USD as exact decimal text, shares as decimal text from 0 to 1."""
    return {
        "month": f"{found.month:%Y-%m}",
        "agreements": [_statement(one) for one in found.statements],
        "not_in_the_file": list(found.strangers),
    }


def _statement(one: Statement) -> dict[str, Any]:
    agreement, settled = one.agreement, one.settled
    document: dict[str, Any] = {
        "name": agreement.name,
        "provider": agreement.provider,
        "models": list(agreement.models),
        "proposed": agreement.proposed,
        "in_force": one.in_force,
        "eligible_usd": _exact(settled.eligible.spend),
        "eligible_tokens": settled.eligible.tokens,
        "calls_without_known_cost": one.spent.unknown,
        "rebate_usd": _exact(settled.rebate),
        "shortfall_usd": _exact(settled.shortfall),
        "owed_usd": _exact(settled.owed),
        "saved_usd": _exact(settled.saved),
        "coverage": _decimal(settled.coverage),
        "true_up_usd": _exact(one.true_up),
        "applied_usd": _exact(sum(one.applied.values())),
        "to_apply_usd": _exact(one.outstanding) if not agreement.proposed else None,
    }
    if (volume := agreement.volume) is not None:
        reached = step_reached(volume, settled.eligible) if one.in_force else None
        document["step_reached"] = (
            None
            if reached is None
            else {"above": str(reached.above), "percent": str(reached.percent)}
        )
    if (terms := agreement.commitment) is not None:
        document |= {
            "committed_usd": money_text(terms.monthly_usd),
            "used_usd": _exact(settled.used),
            "utilisation": _decimal(utilisation(terms, settled)) if one.in_force else None,
            "break_even_usd": _exact(break_even(terms)),
        }
    return document


def _above(volume: Volume, step: Step) -> str:
    if volume.measure == "spend":
        return limit_text(step.above, "USD")
    return f"{number_text(step.above)} tokens"


def _saved(pico: int, beside: str = "without it") -> str:
    if pico == 0:
        return f"as much as {beside}"
    return f"{pico_text(abs(pico))} {'less' if pico > 0 else 'more'} than {beside}"


def _percent(percent: Decimal) -> str:
    return f"{percent.normalize():f} %"


def _share(share: Fraction | None) -> str:
    """Cut, not rounded: 100 % is all of it."""
    if share is None:
        return NOTHING
    tenths = int(share * 1000)
    return f"{tenths // 10}.{tenths % 10} %"


def _decimal(share: Fraction | None) -> str | None:
    if share is None:
        return None
    exact = Decimal(share.numerator) / Decimal(share.denominator)
    return f"{exact.quantize(Decimal('1e-12'), ROUND_DOWN).normalize():f}"


def _exact(pico: int) -> str:
    return money_text(usd(pico))
