"""Up to where a statement counts: the positions of its closing, and since when months restate.

What changes in a month after its closing is on the statement of a later month, once. A closing
takes in what has changed in the months closed before it since the closing that took it in last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from schemas.errors import UserError
from sinks.closings import Closing

Positions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Asof:
    """A ``month`` (its first day) as of ``positions``; ``closing`` None: it is not closed.

    ``restates``: earlier closed month → the positions since which its changes are taken in.
    """

    month: date
    positions: Positions
    closing: Closing | None = None
    restates: Mapping[date, Positions] = field(default_factory=dict)


def asof(
    closings: Sequence[Closing], month: date, now: Positions, number: int | None = None
) -> Asof:
    """As of the newest closing of the month, or that with a ``number``; as of ``now`` without any.

    ``closings``: in the order in which they were made. Raises UserError for a number that is none.
    """
    own = [one for one in closings if one.month == month]
    if number is None:
        closing = own[-1] if own else None
    else:
        closing = next((one for one in own if one.number == number), None)
        if closing is None:
            have = ", ".join(str(one.number) for one in own) or "none yet"
            raise UserError(f"--closing: {month:%Y-%m} has no closing {number}; it has {have}")
    before = list(closings if closing is None else closings[: closings.index(closing)])
    restates = _restates(before, month)
    if closing is None:
        return Asof(month, now, None, restates)
    return Asof(month, closing.positions, closing, restates)


def closed_since(closings: Sequence[Closing], month: date) -> Closing | None:
    """The newest closing of another month since the newest of this one; None without either.

    Another closing of this month would charge twice, or not at all, what that one took in.
    """
    own = [index for index, one in enumerate(closings) if one.month == month]
    later = closings[own[-1] + 1 :] if own else ()
    return later[-1] if later else None


def _restates(before: Sequence[Closing], month: date) -> dict[date, Positions]:
    """By month, the positions of the newest of these closings that took its changes in.

    A closing of the same month is left out: its statement is replaced by the one in question.
    """
    found: dict[date, Positions] = {}
    for closing in before:
        if closing.month == month:
            continue
        for known in found:
            if known < closing.month:
                found[known] = closing.positions
        if closing.month < month:
            found[closing.month] = closing.positions
    return found
