"""The answer to a gateway: may this call be made, and on which tier of models? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from schemas.quotas import (
    BudgetDefinition,
    BudgetShare,
    MemberState,
    NotJudged,
    QuotaAnswer,
    member_key,
)
from sinks.amounts import limit_text
from streams.budgets.fields import TIERS
from streams.budgets.spent import EXACT

KEPT = timedelta(seconds=1)
"""An answer may be kept for so long: states are not published more often either."""


def decide(
    definitions: Iterable[BudgetDefinition],
    members: Mapping[str, MemberState],
    question: Mapping[str, str],
    now: datetime,
    age_seconds: float | None = None,
) -> QuotaAnswer:
    """What holds at ``now`` for a call with these attributes, by dimension.

    A budget applies where the question is inside of its ``where`` and names each dimension of its
    members. Of those that apply the strictest word counts: one refusal, the cheapest tier.
    ``members`` is by key; a member without a record has used nothing. ``age_seconds``: since a
    guard said that it is at work.
    """
    shares: list[BudgetShare] = []
    not_judged: list[NotJudged] = []
    for definition in definitions:
        if any(
            question.get(name, names[0]) not in names for name, names in definition.where.items()
        ):
            continue
        needed = dict.fromkeys((*definition.where, *definition.each))
        missing = [name for name in needed if name not in question]
        if missing:
            why = f"the question does not say {' and '.join(missing)}"
            not_judged.append(NotJudged(budget=definition.budget, why=why))
            continue
        member = {name: question[name] for name in definition.each}
        state = members.get(member_key(definition.budget, member))
        if state is None or now >= state.valid_until:
            shares.append(_unused(definition, member, now))
        elif state.used is None:
            not_judged.append(NotJudged(budget=definition.budget, why=state.reason))
        else:
            shares.append(_share(state, state.used))
    # Not the operator `-`: that rounds to 28 digits.
    shares.sort(key=lambda share: (_used_part(share).copy_negate(), share.budget))
    return _answer(shares, not_judged, now, age_seconds)


def _answer(
    shares: list[BudgetShare],
    not_judged: list[NotJudged],
    now: datetime,
    age_seconds: float | None,
) -> QuotaAnswer:
    tightest = _tightest(shares)
    refusing = next((share for share in shares if not share.allowed), None)
    degrading = min(
        (share for share in shares if share.degrade_to is not None),
        key=lambda share: _cost_rank(share.degrade_to),
        default=None,
    )
    telling = refusing or degrading or tightest
    ends = [share.period_end for share in shares if share.period_end and share.period_end > now]
    return QuotaAnswer(
        allowed=refusing is None,
        remaining=tightest.remaining if tightest else None,
        unit=tightest.unit if tightest else None,
        degrade_to=degrading.degrade_to if degrading else None,
        why=telling.reason if telling else "No budget applies.",
        valid_until=min([now + KEPT, *ends]),
        budgets=tuple(shares),
        not_judged=tuple(not_judged),
        age_seconds=age_seconds,
    )


def _tightest(shares: list[BudgetShare]) -> BudgetShare | None:
    """In one unit the one that has the least left; units cannot be compared: then the most used."""
    least: dict[str, BudgetShare] = {}
    for share in shares:
        known = least.setdefault(share.unit, share)
        if share.remaining < known.remaining:
            least[share.unit] = share
    return max(least.values(), key=_used_part, default=None)


def _used_part(share: BudgetShare) -> Decimal:
    return EXACT.divide(share.used, share.limit)


def _cost_rank(tier: str | None) -> int:
    """From the cheapest tier on; one that is not known to this version counts as that."""
    return next((rank for rank, name in enumerate(TIERS) if name == tier), 0)


def _share(state: MemberState, used: Decimal) -> BudgetShare:
    tenths = EXACT.divide_int(EXACT.multiply(used, Decimal(1000)), state.limit)
    return BudgetShare(
        **state.model_dump(include=_SHARED),
        used=used,
        remaining=max(Decimal(0), EXACT.subtract(state.limit, used)),
        percent=tenths.scaleb(-1),
    )


_SHARED = BudgetShare.model_fields.keys() & MemberState.model_fields.keys() - {"used"}


def _unused(definition: BudgetDefinition, member: Mapping[str, str], now: datetime) -> BudgetShare:
    limit = definition.limit_of(member)
    known = definition.period_end is not None and now < definition.period_end
    return BudgetShare(
        budget=definition.budget,
        member=member,
        used=Decimal(0),
        limit=limit,
        remaining=limit,
        unit=definition.unit,
        percent=Decimal(0),
        allowed=True,
        degrade_to=None,
        reason=(
            f"Nothing is used of {limit_text(limit, definition.unit)} (budget {definition.budget})."
        ),
        period_start=definition.period_start if known else None,
        period_end=definition.period_end if known else None,
        as_of=definition.as_of,
    )
