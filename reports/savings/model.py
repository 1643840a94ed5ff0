"""What was found: one value for each kind of saving, and the total that counts nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from reports.routing.figures import Span

Kind = Literal["duplicates", "prefixes", "routing", "retries", "context"]
"""In the order in which they are taken off: what one kind saves, the next cannot save again."""

Model = tuple[str, str]
"""Provider and model, as events say them."""


@dataclass(frozen=True, slots=True)
class Range:
    """USD, exact: what is saved in the cautious case and in the hopeful one. They are equal where
    the evidence leaves nothing open; below zero it would cost more."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that a saving rests on, such as ``pairs``, 480. USD where ``value`` is a Decimal."""

    name: str
    value: int | Decimal


@dataclass(frozen=True, slots=True)
class Part:
    """What a kind saves alone in one place, such as a use case; ``note``: why that may be."""

    name: str
    calls: int
    cost: Decimal
    alone: Range
    note: str


@dataclass(frozen=True, slots=True)
class Saving:
    """One kind of saving.

    - ``looked_at``: the calls that it is about, in words; there are ``calls``, and they cost
      ``cost`` USD (None: not known).
    - ``alone``: saved if nothing else is done. None: nothing of it can be estimated.
    - ``added``: its part of the total, on top of the kinds before it. None: it is no part of the
      total, or cannot be estimated. In the hopeful case earlier kinds take more away, so ``high``
      can be less than ``low`` here.
    - ``assumptions``, ``not_estimated``: sentences; what is left out, and what would change that.
    - ``sql``: the query behind ``alone``, as `spendstream sql` takes it. Of routing: the cost
      by use case and tier; `spendstream report routing` has the pairs, which give its part.
    - ``parts``: of routing, the use cases and tiers.
    """

    kind: Kind
    title: str
    looked_at: str
    calls: int
    cost: Decimal | None
    alone: Range | None
    added: Range | None
    evidence: tuple[Evidence, ...]
    assumptions: tuple[str, ...]
    not_estimated: tuple[str, ...]
    sql: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Savings:
    """All kinds, in the order of `Kind`. ``cost``: USD of all calls of the time, without shadows.

    Without any call there are no kinds. ``total`` is the sum of ``added`` over the kinds, case by
    case: never that of ``alone``. None: nothing is estimated.
    """

    span: Span
    calls: int
    cost: Decimal | None
    kinds: tuple[Saving, ...]
    total: Range | None

    def of(self, kind: Kind) -> Saving:
        """The saving of a kind."""
        (found,) = (one for one in self.kinds if one.kind == kind)
        return found


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reader may want otherwise.

    - ``answer_window``: how long an answer is good for the same prompt.
    - ``prefix_lifetime``: how long a provider's cache keeps a prefix after its last use.
    - ``least_prefix_tokens``: shorter prefixes are not cached by providers.
    - ``tolerated_loss``: of mean quality, up to which a cheaper answer will do (the cautious case).
    - ``cheaper``: for calls without shadows, at which model the same tokens are priced.
    - ``first_calls``: of a workflow, whose median context the later ones are compared with.
    """

    answer_window: timedelta = timedelta(hours=24)
    prefix_lifetime: timedelta = timedelta(minutes=5)
    least_prefix_tokens: int = 1024
    tolerated_loss: Decimal = Decimal("0.05")
    cheaper: Mapping[Model, Model] = field(default_factory=dict)
    first_calls: int = 3
