"""The records of the topic `llm.quotas`, from JSON objects: what a budget is, what a member has
used, and that a guard is at work. As `schemas.quotas` of the server has them; what is not needed to
decide is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, NamedTuple

from spendstream.quota._amounts import limit_text

EXACT = Context(prec=60)
"""Decimal's default of 28 digits would round the 38 that a sum can hold."""
_text_of = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Stamp(NamedTuple):
    """What a record is as of: a journal entry, and the guard's time when it said so (UTC)."""

    journal: str
    position: int
    at: datetime

    def replaces(self, other: Stamp | None) -> bool:
        """Whether a record of this stamp is to be believed where one of ``other`` is known.

        Journals cannot be compared: what comes later on the topic holds.
        """
        if other is None or self.journal != other.journal:
            return True
        return (self.position, self.at) >= (other.position, other.at)


class Limit(NamedTuple):
    """``unused``: what is said where nothing of it is used."""

    amount: Decimal
    unused: str


class Definition(NamedTuple):
    """A budget: enough to judge a member that has used nothing yet."""

    budget: str
    each: tuple[str, ...]
    where: tuple[tuple[str, tuple[str, ...]], ...]
    needed: tuple[str, ...]
    """What a question has to say: the dimensions of ``where`` and ``each``."""
    limit: Limit
    unit: str
    exceptions: tuple[tuple[tuple[tuple[str, frozenset[str]], ...], Limit], ...]
    period_end: datetime | None
    as_of: Stamp

    @property
    def key(self) -> str:
        """Key of the record."""
        return f"budget:{self.budget}"

    def limit_of(self, member: Mapping[str, str]) -> Limit:
        """The limit of a member, in ``unit``."""
        for members, limit in self.exceptions:
            if all(member.get(name) in names for name, names in members):
                return limit
        return self.limit


class Member(NamedTuple):
    """What a member of a budget has used, and what follows."""

    key: str
    budget: str
    used_part: Decimal | None
    """Of its limit; None where it is not known, as an exchange rate is missing."""
    remaining: Decimal
    unit: str
    allowed: bool
    degrade_to: str | None
    reason: str
    period_end: datetime
    valid_until: datetime
    as_of: Stamp


class Heartbeat(NamedTuple):
    """An active guard was at work at ``as_of.at``."""

    as_of: Stamp

    @property
    def key(self) -> str:
        """Key of the record."""
        return "heartbeat"


Record = Definition | Member | Heartbeat


def member_key(budget: str, member: Mapping[str, str]) -> str:
    """Key of a member's record; ``member`` in the order of the budget's ``each``."""
    return f"member:{budget}:{_text_of(member)}"


def read_record(key: str, value: Any) -> Record:
    """What a record with a value says. Raises ValueError where it is none, or another key's."""
    try:
        record = _READ[value["record"]](value)
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise ValueError(f"it is no such record: {error!r}") from None
    if record.key != key:
        raise ValueError(f"{key} holds {record.key}")
    return record


def read_stamp(value: Any) -> Stamp:
    """A stamp, from its JSON object. Raises ValueError where it is none."""
    try:
        return _stamp(value)
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no stamp: {error!r}") from None


def _stamp(value: Any) -> Stamp:
    return Stamp(_text(value["journal"]), int(value["position"]), _time(value["at"]))


def _definition(value: Any) -> Definition:
    budget, unit, end = _text(value["budget"]), _text(value["unit"]), value["period_end"]

    def limit(amount: str) -> Limit:
        text = limit_text(_amount(amount), unit)
        return Limit(_amount(amount), f"Nothing is used of {text} (budget {budget}).")

    each = tuple(value["each"])
    where = tuple((name, tuple(names)) for name, names in value["where"].items())
    return Definition(
        budget=budget,
        each=each,
        where=where,
        needed=tuple(dict.fromkeys((*(name for name, _ in where), *each))),
        limit=limit(value["limit"]),
        unit=unit,
        exceptions=tuple(
            (
                tuple((name, frozenset(names)) for name, names in one["members"].items()),
                limit(one["limit"]),
            )
            for one in value["exceptions"]
        ),
        period_end=None if end is None else _time(end),
        as_of=_stamp(value["as_of"]),
    )


def _member(value: Any) -> Member:
    used, limit = value["used"], _amount(value["limit"])
    spent = None if used is None else Decimal(used)
    left = limit if spent is None else EXACT.subtract(limit, spent)
    return Member(
        key=member_key(value["budget"], value["member"]),
        budget=value["budget"],
        used_part=None if spent is None else EXACT.divide(spent, limit),
        remaining=max(Decimal(0), left),
        unit=_text(value["unit"]),
        allowed=bool(value["allowed"]),
        degrade_to=value["degrade_to"],
        reason=_text(value["reason"]),
        period_end=_time(value["period_end"]),
        valid_until=_time(value["valid_until"]),
        as_of=_stamp(value["as_of"]),
    )


def _heartbeat(value: Any) -> Heartbeat:
    return Heartbeat(_stamp(value["as_of"]))


_READ: Mapping[str, Callable[[Any], Record]] = {
    "budget": _definition,
    "member": _member,
    "heartbeat": _heartbeat,
}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _amount(value: Any) -> Decimal:
    amount = Decimal(_text(value))
    if not amount > 0:
        raise ValueError(f"a limit of {amount}")
    return amount


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return time
