"""Quota state for gateways: the records of the compacted topic `llm.quotas`, and what is answered.

There are three kinds of record: what a budget is, what a member of it has used, and that a guard is
at work. Each is the whole state as of a journal entry, never an increment, so it does not matter
how often it is read.
Money is exact decimal text, in ``unit``; times are UTC. A record without a value removes its key; a
header says as of when.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter

STAMP_HEADER = "spendstream.as_of"
"""Header of a record without a value: its `Stamp`, as JSON."""
HEARTBEAT_KEY = "heartbeat"
"""Key of the one `Heartbeat`."""

_EXACT = Context(prec=60)
"""Decimal's default of 28 digits would round the 38 that a sum can hold."""


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize(_EXACT):f}"


Amount = Annotated[Decimal, PlainSerializer(_plain, return_type=str, when_used="json")]
"""As JSON plain decimal text: `450`, `0.0125`."""


class _Contract(BaseModel):
    # A field that a newer guard adds does not stop an older reader.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Stamp(_Contract):
    """What a record is as of: a journal entry, and the guard's time when it said so."""

    journal: str
    position: int
    at: AwareDatetime

    def replaces(self, other: Stamp | None) -> bool:
        """Whether a record of this stamp is to be believed where one of ``other`` is known.

        Journals cannot be compared: what comes later on the topic holds.
        """
        if other is None or self.journal != other.journal:
            return True
        return (self.position, self.at) >= (other.position, other.at)


class LimitException(_Contract):
    """Another limit for the members that have one of these names in each of these dimensions."""

    members: Mapping[str, tuple[str, ...]]
    limit: Amount


class QuotaAction(_Contract):
    """What holds from this percentage of the limit on: a cheaper tier, or refusal."""

    at: int
    do: Literal["degrade", "refuse"]
    to: str | None = None


class BudgetDefinition(_Contract):
    """What a budget is: enough to judge a member that has used nothing yet."""

    record: Literal["budget"] = "budget"
    budget: str
    each: tuple[str, ...]
    """Dimensions; each combination of their values is a member. None: there is one member."""
    where: Mapping[str, tuple[str, ...]]
    """Dimension to the values that it is for; empty: for everything."""
    limit: Amount
    unit: str
    """A currency (ISO 4217), `tokens` or `calls`."""
    exceptions: tuple[LimitException, ...]
    actions: tuple[QuotaAction, ...]
    """By percentage; without any the budget refuses nothing."""
    period: str
    """`day`, `week`, `month`, `quarter`, `year` or `rolling`."""
    period_start: AwareDatetime | None
    """Of the period that is under way; None for a rolling window."""
    period_end: AwareDatetime | None
    window_seconds: int | None
    """Length of a rolling window, else None."""
    as_of: Stamp

    @property
    def key(self) -> str:
        """Key of the record on the topic."""
        return budget_key(self.budget)

    def limit_of(self, member: Mapping[str, str]) -> Decimal:
        """The limit of a member, in ``unit``."""
        for exception in self.exceptions:
            if all(member.get(name) in names for name, names in exception.members.items()):
                return exception.limit
        return self.limit


class MemberState(_Contract):
    """What a member has used of its limit, and what follows. A member without one used nothing."""

    record: Literal["member"] = "member"
    budget: str
    member: Mapping[str, str]
    """Dimension to value, in the order of the budget's ``each``."""
    used: Amount | None
    """None where it is not known: an exchange rate is missing."""
    limit: Amount
    unit: str
    period_start: AwareDatetime
    """Of what is counted: the period, or the window that ends now."""
    period_end: AwareDatetime
    """When the period ends; of a window, when it moves on."""
    allowed: bool
    degrade_to: str | None
    """Tier of models to use, or a cheaper one."""
    since: AwareDatetime
    """When the guard first saw that ``allowed`` and ``degrade_to`` are what they are."""
    reason: str
    """One sentence for a person."""
    valid_until: AwareDatetime
    """From then on nothing of this counts any more, if nothing newer is known."""
    as_of: Stamp

    @property
    def key(self) -> str:
        """Key of the record on the topic."""
        return member_key(self.budget, self.member)


class Heartbeat(_Contract):
    """An active guard was at work at ``as_of.at``, and had published all that follows from the
    entry. What is older than that is no news, not silence."""

    record: Literal["heartbeat"] = "heartbeat"
    as_of: Stamp

    @property
    def key(self) -> str:
        """Key of the record on the topic."""
        return HEARTBEAT_KEY


Record = BudgetDefinition | MemberState | Heartbeat
"""What a record of the topic with a value is."""

_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="record")])


class BudgetShare(_Contract):
    """How one budget that applies to a question stands."""

    budget: str
    member: Mapping[str, str]
    used: Amount
    limit: Amount
    remaining: Amount
    """Of the limit; never below 0."""
    unit: str
    percent: Amount
    """Share of the limit that is used, cut to one decimal."""
    allowed: bool
    degrade_to: str | None
    reason: str
    period_start: AwareDatetime | None
    period_end: AwareDatetime | None
    """None where the member has used nothing, and the period is a window or not known."""
    as_of: Stamp


class NotJudged(_Contract):
    """A budget that may apply, and cannot be judged."""

    budget: str
    why: str


class QuotaAnswer(_Contract):
    """May a call be made? Everything that the question says about it was taken into account."""

    allowed: bool
    remaining: Amount | None
    """Of the tightest budget, in ``unit``; None where no budget applies. In one unit it is the one
    that has the least left; between units, which cannot be compared, the one that is used most."""
    unit: str | None
    degrade_to: str | None
    """Tier of models to use, or a cheaper one."""
    why: str
    valid_until: AwareDatetime
    """Nobody should keep the answer for longer."""
    budgets: tuple[BudgetShare, ...]
    """Those that apply, the most used first."""
    not_judged: tuple[NotJudged, ...]
    age_seconds: float | None = None
    """Since an active guard last said that it is at work; None where none has."""


def read_record(key: str, value: bytes) -> Record:
    """What a record with a value says. Raises ValueError where it is none, or another key's."""
    record = _RECORD.validate_json(value)
    if record.key != key:
        raise ValueError(f"{key} holds {record.key}")
    return record


def budget_key(budget: str) -> str:
    """Key of a budget's definition."""
    return f"budget:{budget}"


def member_key(budget: str, member: Mapping[str, str]) -> str:
    """Key of a member's state; ``member`` in the order of the budget's ``each``."""
    names = json.dumps(dict(member), ensure_ascii=False, separators=(",", ":"))
    return f"member:{budget}:{names}"


def stamp_of(headers: Iterable[tuple[str, bytes]]) -> Stamp | None:
    """The stamp of a record without a value; None where somebody else has removed the key.

    Raises ValueError where the header is there and is no stamp.
    """
    for name, value in headers:
        if name == STAMP_HEADER:
            return Stamp.model_validate_json(value)
    return None
