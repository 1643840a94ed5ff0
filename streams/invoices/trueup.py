"""What the ledger lacks of an invoice, as true-ups: until both are equal, by day and model.

The true-ups of a provider's month are numbered, and each holds what was left when it was worked
out. So compare-and-append: of two that were worked out from the same ledger the first counts.
Whoever sent the other looks again, and finds what is left.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from aiokafka import AIOKafkaProducer

from schemas.errors import UserError
from schemas.journal import TRUE_UP
from sinks.clickhouse import ClickHouse
from streams.guard.money import pico, usd
from streams.invoices.cells import Cell
from streams.invoices.shares import split
from streams.invoices.variance import Variance
from streams.trueup.append import Wait, append_true_ups
from streams.trueup.money import MOST_ROWS, Amount, TrueUp

ATTRIBUTED = ("department", "team", "project", "use_case", "application", "environment")
"""What a true-up is split by: who pays. Not users, customers and workflows, which are too many."""
UNATTRIBUTED = "unattributed"
"""The team that gets what is charged for a model while nothing of the provider was metered."""
Who = tuple[str | None, ...]
"""Values of `ATTRIBUTED`."""
Weights = dict[Who, int]

_WEIGHTS = f"""
    SELECT toDate(minute, 'UTC') AS at, model, {", ".join(f"spend.`{n}`" for n in ATTRIBUTED)},
           sum(spend.cost), sum(spend.input_tokens + cache_read_tokens + cache_write_5m_tokens
               + cache_write_1h_tokens + input_audio_tokens + cache_read_audio_tokens
               + input_image_tokens + cache_read_image_tokens + spend.output_tokens
               + reasoning_tokens + output_audio_tokens + output_image_tokens), sum(spend.calls)
    FROM spend
    WHERE provider = {{provider:String}} AND kind != '{TRUE_UP}'
      AND minute >= toDateTime({{begin:Int64}}, 'UTC') AND minute < toDateTime({{end:Int64}}, 'UTC')
    GROUP BY at, model, {", ".join(f"spend.`{n}`" for n in ATTRIBUTED)}
    ORDER BY ALL
"""
_COUNT = """
    SELECT count() FROM adjustments
    WHERE reason = {reason:String} AND startsWith(adjustment_id, {prefix:String})
"""


@dataclass(frozen=True, slots=True)
class Due:
    """What is left to true up. ``cells``: pico-dollars to add; ``beside``: fees, credits and taxes,
    which are not trued up; ``amounts``: the cells, split by who pays."""

    cells: Mapping[Cell, int]
    beside: Mapping[str, int]
    amounts: tuple[tuple[Cell, tuple[Amount, ...]], ...]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.cells.values())

    def by_model(self) -> list[tuple[str, int]]:
        """Of each model, largest first."""
        found: Counter[str] = Counter()
        for cell, amount in self.cells.items():
            found[cell.model] += amount
        return sorted(found.items(), key=lambda one: (-abs(one[1]), one[0]))

    def by_team(self) -> list[tuple[str, int]]:
        """Of each team, largest first."""
        found: Counter[str] = Counter()
        for _, amounts in self.amounts:
            for amount in amounts:
                found[str(amount.attribution["team"])] += pico(amount.usd)
        return sorted(found.items(), key=lambda one: (-abs(one[1]), one[0]))


def due(clickhouse: ClickHouse, found: Variance) -> Due:
    """What is left to true up of a comparison. Raises ClickHouseError, and UserError where the
    invoice charges no usage: it cannot mean that none was."""
    if all(row.invoiced == sum(row.beside.values()) for row in found.rows):
        raise UserError(
            f"the invoice of {found.span.provider} for {found.month:%Y-%m} has no usage, only "
            "fees, credits or taxes: nothing can be trued up to it; import its usage lines"
        )
    cells, beside = {}, Counter[str]()
    for row in found.rows:
        other = {name: row.beside[name] for name in row.beside if row.beside[name]}
        beside.update(other)
        if amount := row.variance - sum(other.values()):
            cells[row.cell] = amount
    shares = Shares.load(clickhouse, found)
    amounts = tuple(
        (cell, tuple(shares.amounts(cell, amount))) for cell, amount in sorted(cells.items())
    )
    return Due(cells, beside, amounts)


class Shares:
    """Who used what: weights of each model and day, and of wider ones where that has none."""

    def __init__(self, provider: str, *, monthly: bool) -> None:
        self._provider = provider
        self._monthly = monthly
        self._weights: dict[tuple[date | None, str | None], dict[tuple[date, Who], list[int]]] = (
            defaultdict(dict)
        )

    @classmethod
    def load(cls, clickhouse: ClickHouse, found: Variance) -> Shares:
        """Those of a comparison's days. Raises ClickHouseError."""
        shares = cls(found.span.provider, monthly=found.monthly)
        rows = clickhouse.query(_WEIGHTS, found.span.bounds("UTC"))
        for day, model, *rest in rows:
            *who, cost, tokens, calls = rest
            shares.add(day, str(model), tuple(who), (pico(cost), int(tokens), int(calls)))
        return shares

    def add(self, day: date, model: str, who: Who, weights: tuple[int, int, int]) -> None:
        """Take note of somebody's cost, tokens and calls of a model on a day."""
        for key in ((day, model), (None, model), (day, None), (None, None)):
            sums = self._weights[key].setdefault((day, who), [0, 0, 0])
            for index, weight in enumerate(weights):
                sums[index] += weight

    def amounts(self, cell: Cell, amount: int) -> Iterator[Amount]:
        """The amount by who pays; of a cell of a month by day too. They add up to it."""
        chosen = self._chosen(cell)
        parts = split(amount, chosen) if chosen else {(cell.day, _nobody()): amount}
        merged: Counter[tuple[date, Who]] = Counter()
        for (day, who), part in parts.items():
            merged[day if self._monthly else cell.day, who] += part
        for (day, who), part in merged.items():
            if part:
                named = {n: value for n, value in zip(ATTRIBUTED, who, strict=True) if value}
                of = {"provider": self._provider, "model": cell.model}
                yield Amount(day, usd(part), named | of)

    def _chosen(self, cell: Cell) -> dict[tuple[date, Who], int]:
        """Of this model and day, else this model, else this day, else all: by cost, else tokens,
        else calls."""
        day = None if self._monthly else cell.day
        for key in ((day, cell.model), (None, cell.model), (day, None), (None, None)):
            found = self._weights.get(key, {})
            for index in range(3):
                weights = {who: sums[index] for who, sums in found.items() if sums[index] > 0}
                if weights:
                    return _fitting(weights, cell.day)
        return {}


def _fitting(weights: dict[tuple[date, Who], int], day: date) -> dict[tuple[date, Who], int]:
    """As many as fit into one entry of the journal: as they are, else by department and team, else
    all on one day."""
    for on in (None, day):
        if len(weights) <= MOST_ROWS:
            break
        coarser: Counter[tuple[date, Who]] = Counter()
        for (at, who), weight in weights.items():
            coarser[on or at, (*who[:2], *(None,) * (len(who) - 2))] += weight
        weights = dict(coarser)
    return weights


def _nobody() -> Who:
    return tuple(UNATTRIBUTED if name == "team" else None for name in ATTRIBUTED)


def prefix_of(provider: str, month: date) -> str:
    """What the ids of a month's true-ups begin with."""
    return f"{TRUE_UP}/invoice/{provider}/{month:%Y-%m}/"


def next_true_up(found: Variance, left: Due, number: int, note: str) -> TrueUp:
    """The first of what is left, as many cells as one entry takes, at least one."""
    amounts: list[Amount] = []
    for _, some in left.amounts:
        if amounts and len(amounts) + len(some) > MOST_ROWS:
            break
        amounts += some
    provider = found.span.provider
    return TrueUp(
        f"{prefix_of(provider, found.month)}{number}",
        f"invoice {provider} {found.month:%Y-%m}",
        note,
        tuple(amounts),
    )


async def true_up(
    clickhouse: ClickHouse,
    producer: AIOKafkaProducer,
    journal: str,
    of: tuple[str, date],
    compared: Callable[[], Variance],
    note: str,
    wait: Wait,
) -> list[str]:
    """True up until nothing is left; the ids of the adjustments that it took.

    ``of``: provider and month; ``compared`` compares it anew. Can be cut off anywhere, and run
    again. Raises ClickHouseError, KafkaError, and what ``compared`` and ``wait`` raise.
    """
    made: list[str] = []
    while True:
        # In this order: one that comes in between is in the comparison, or has taken the number.
        number = await asyncio.to_thread(_count, clickhouse, *of)
        found = await asyncio.to_thread(compared)
        left = await asyncio.to_thread(due, clickhouse, found)
        if not left.cells:
            return made
        one = next_true_up(found, left, number, note)
        appended = await append_true_ups(clickhouse, producer, journal, [one], wait)
        made += appended.new


def _count(clickhouse: ClickHouse, provider: str, month: date) -> int:
    of = {"reason": TRUE_UP, "prefix": prefix_of(provider, month)}
    ((count,),) = clickhouse.query(_COUNT, of)
    return int(count)
