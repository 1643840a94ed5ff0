"""May this call be made, and on which tier of models? Pure. The server's `streams.quotas.decide`
answers alike, on purpose: a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from spendstream.quota._records import Definition, Member, member_key

TIERS = ("cost-optimised", "balanced", "frontier")
"""From the cheapest on; one that is not known to this version counts as that."""
_NOTHING = Decimal(0)


class Decision(NamedTuple):
    """The answer about one call."""

    allowed: bool
    degrade_to: str | None
    """Tier of models to use, or a cheaper one."""
    why: str
    """One sentence for a person."""
    budget: str | None
    """Whose word ``why`` is; None where no budget applies."""
    resets_at: datetime | None
    """When the period of that budget ends (of a rolling window: moves on), UTC; None where it is
    not known."""
    known: bool
    """False where quotas are not known (any more), and ``fail`` has decided."""


class _Share(NamedTuple):
    """How one budget that applies stands; the first two are the order to look at them."""

    less_used: Decimal
    budget: str
    remaining: Decimal
    unit: str
    allowed: bool
    degrade_to: str | None
    why: str
    resets_at: datetime | None


def decide(
    definitions: Iterable[Definition],
    members: Mapping[str, Member],
    question: Mapping[str, str],
    now: datetime,
) -> Decision:
    """What holds at ``now`` for a call with these attributes, by dimension.

    A budget applies where the question is inside of its ``where`` and names each dimension of its
    members. Of those that apply the strictest word counts: one refusal, the cheapest tier.
    ``members`` is by key; a member without a record has used nothing.
    """
    shares = []
    for definition in definitions:
        if any(question.get(name, names[0]) not in names for name, names in definition.where):
            continue
        if any(name not in question for name in definition.needed):
            continue
        member = {name: question[name] for name in definition.each}
        state = members.get(member_key(definition.budget, member))
        if state is None or now >= state.valid_until:
            shares.append(_unused(definition, member, now))
        elif state.used_part is not None:
            shares.append(_share(state, state.used_part))
    shares.sort(key=lambda share: share[:2])
    refusing = next((share for share in shares if not share.allowed), None)
    degrading = min(
        (share for share in shares if share.degrade_to is not None),
        key=lambda share: _cost_rank(share.degrade_to),
        default=None,
    )
    telling = refusing or degrading or _tightest(shares)
    return Decision(
        allowed=refusing is None,
        degrade_to=degrading.degrade_to if degrading else None,
        why=telling.why if telling else "No budget applies.",
        budget=telling.budget if telling else None,
        resets_at=telling.resets_at if telling else None,
        known=True,
    )


def _tightest(shares: list[_Share]) -> _Share | None:
    """In one unit the one that has the least left; units cannot be compared: then the most used."""
    least: dict[str, _Share] = {}
    for share in shares:
        known = least.setdefault(share.unit, share)
        if share.remaining < known.remaining:
            least[share.unit] = share
    return min(least.values(), key=lambda share: share.less_used, default=None)


def _cost_rank(tier: str | None) -> int:
    return TIERS.index(tier) if tier in TIERS else 0


def _share(state: Member, used_part: Decimal) -> _Share:
    return _Share(
        # Not the operator: that rounds to 28 digits.
        used_part.copy_negate(),
        state.budget,
        state.remaining,
        state.unit,
        state.allowed,
        state.degrade_to,
        state.reason,
        state.period_end,
    )


def _unused(definition: Definition, member: Mapping[str, str], now: datetime) -> _Share:
    limit, end = definition.limit_of(member), definition.period_end
    known = end is not None and now < end
    return _Share(
        _NOTHING,
        definition.budget,
        limit.amount,
        definition.unit,
        True,
        None,
        limit.unused,
        end if known else None,
    )
