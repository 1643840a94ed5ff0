"""A cell of any report: what was spent in a time by a scope, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from clickhouse_connect.driver.binding import format_query_value

from schemas.journal import DIMENSIONS, TRUE_UP, money_text
from schemas.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from sinks.clickhouse import ClickHouse
from streams.explain.step import Step, plural
from streams.guard.money import pico, usd

SCOPES = tuple(
    name for name, kind in DIMENSIONS.items() if kind == DIMENSIONS["team"] and name != "price_ref"
)
"""What a cell can be narrowed by: the text columns that archive and ledger both have."""
SHOWN = 5
"""Prices and events that are named; the rest is one line."""


@dataclass(frozen=True, slots=True)
class Cell:
    """``where``: dimension → the values that count. Times are UTC, ``until`` is not included.
    ``as_of``: journal and position that it is asked as of; None: now. ``shadows``: with them."""

    since: datetime
    until: datetime
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    as_of: tuple[str, int] | None = None
    shadows: bool = True

    def __str__(self) -> str:
        whose = ", ".join(
            f"{name.replace('_', ' ')} {' or '.join(values)}" for name, values in self.where.items()
        )
        return f"{whose or 'everybody'}, {_span(self.since, self.until)}"

    def of_ledger(self) -> str:
        """The condition on rows of `spend`."""
        parts = [*self._common("minute")]
        if self.as_of is not None:
            journal, position = self.as_of
            parts.append(f"(journal != {literal(journal)} OR position <= {position})")
        if not self.shadows:
            parts.append("NOT is_shadow")
        return " AND ".join(parts)

    def of_archive(self) -> str:
        """The condition on rows of `usage`."""
        parts = [*self._common("occurred_at")]
        if not self.shadows:
            parts.append("shadow_of IS NULL")
        return " AND ".join(parts)

    def _common(self, time: str) -> list[str]:
        """Whole minutes: a row of the ledger is one, and belongs to where it begins."""
        return [
            f"{time} >= {_instant(self.since)}",
            f"{time} < {_instant(self.until)}",
            *(
                f"{name} IN ({', '.join(map(literal, values))})"
                for name, values in self.where.items()
            ),
        ]


def literal(value: object) -> str:
    """A value as ClickHouse's SQL writes it: what is shown to a reader is what was asked."""
    return str(format_query_value(value))


def explain_cell(clickhouse: ClickHouse, cell: Cell) -> Step:
    """The sum, by price, by journal entry, in the archive, and its dearest events.

    Raises ClickHouseError.
    """
    where = cell.of_ledger()
    sql = (
        "SELECT sum(cost), sum(calls), sumIf(calls, rating = 'unpriced'), "
        "sumIf(calls, rating = 'no_usage'), sumIf(calls, usage_source = 'estimated') "
        f"FROM spend WHERE {where}"
    )
    ((cost, calls, unpriced, without, estimated),) = clickhouse.query(sql)
    facts = [plural(int(calls), "call")]
    if not int(calls) and cost is None:
        facts.append("nothing was metered there; names are compared letter by letter")
    facts += [
        f"{plural(int(count), 'call')} {what}"
        for count, what in (
            (unpriced, "not in it, as no price is known"),
            (without, "not in it, as no tokens are known"),
            (estimated, "with estimated tokens"),
        )
        if count
    ]
    steps = [_by_price(clickhouse, where), _by_journal(clickhouse, where)]
    if cell.as_of is None:
        steps += [_archived(clickhouse, cell, cost, int(calls)), _dearest(clickhouse, cell)]
    return Step(str(cell), cost, tuple(facts), sql, because=tuple(steps))


def _by_price(clickhouse: ClickHouse, where: str) -> Step:
    prompt, answer = (" + ".join(names) for names in (INPUT_BUCKETS, OUTPUT_BUCKETS))
    sql = (
        f"SELECT provider, model, rating, price_ref, sum(calls) AS n, sum({prompt}) AS prompt, "
        f"sum({answer}) AS answer, sum(cost) AS usd FROM spend WHERE {where} "
        "GROUP BY provider, model, rating, price_ref ORDER BY usd DESC, n DESC"
    )
    rows = clickhouse.query(sql)
    steps = [
        Step(
            f"{provider}/{model}",
            total,
            (
                f"{plural(int(n), 'call')}, {int(prompt):,} prompt and {int(answer):,} answer "
                "tokens",
                reference or f"{rating.replace('_', ' ')}: its cost is not known",
            ),
        )
        for provider, model, rating, reference, n, prompt, answer, total in rows[:SHOWN]
    ]
    if rest := rows[SHOWN:]:
        steps.append(Step(f"{plural(len(rest), 'other price')}", _sum(row[-1] for row in rest)))
    return Step("by price", sql=sql, because=tuple(steps))


def _by_journal(clickhouse: ClickHouse, where: str) -> Step:
    is_correction = "(journal, position) IN (SELECT journal, position FROM adjustments)"
    sql = (
        f"SELECT journal, uniqExact(position), min(position), max(position), sum(cost), "
        f"toString(max(recorded_at)) FROM spend WHERE {where} AND NOT {is_correction} "
        "GROUP BY journal ORDER BY journal"
    )
    steps = [
        Step(
            f"{plural(int(count), 'entry')} of the journal {journal}",
            total,
            (f"positions {first:,} to {last:,}, the newest recorded {recorded} UTC",),
        )
        for journal, count, first, last, total, recorded in clickhouse.query(sql)
    ]
    corrections = clickhouse.query(
        "SELECT a.adjustment_id, any(a.reason), any(a.note), sum(s.cost), sum(s.calls), "
        "any(s.position), toString(any(a.recorded_at)) "
        f"FROM (SELECT * FROM spend WHERE {where} AND {is_correction}) AS s "
        "INNER JOIN adjustments AS a ON s.journal = a.journal AND s.position = a.position "
        "GROUP BY a.adjustment_id ORDER BY any(s.position)"
    )
    steps += [
        Step(
            f"correction {name} ({reason})",
            total,
            (f"{calls:+,} calls, position {position:,}, recorded {at} UTC", *filter(None, [note])),
        )
        for name, reason, note, total, calls, position, at in corrections[:SHOWN]
    ]
    if rest := corrections[SHOWN:]:
        steps.append(Step(plural(len(rest), "more correction"), _sum(row[3] for row in rest)))
    return Step("by journal", sql=sql, because=tuple(steps))


def _archived(clickhouse: ClickHouse, cell: Cell, cost: Decimal | None, calls: int) -> Step:
    sql = (
        "SELECT sum(cost), sum(if(kind = 'void', -1, 1)), count() "
        f"FROM usage WHERE {cell.of_archive()}"
    )
    ((archived, signed, events),) = clickhouse.query(sql)
    ((true_ups,),) = clickhouse.query(
        f"SELECT sum(cost) FROM spend WHERE {cell.of_ledger()} AND kind = '{TRUE_UP}'"
    )
    doubt = None
    if pico(archived) != pico(cost) - pico(true_ups) or int(signed) != calls:
        doubt = (
            f"the ledger has {_usd(cost)} of {plural(calls, 'call')}, the archive {_usd(archived)} "
            f"of {plural(int(signed), 'call')}: events on their way, or a difference that "
            "`spendstream reconcile` explains"
        )
    title = f"{plural(int(events), 'event')} in the archive"
    facts: tuple[str, ...] = ()
    if not doubt:
        beside = f", beside true-ups of {_usd(true_ups)}, which have no events" if true_ups else ""
        facts = (f"they add up to the ledger's figure, to the last digit{beside}",)
    return Step(title, archived, facts, sql, doubt)


def _dearest(clickhouse: ClickHouse, cell: Cell) -> Step:
    sql = (
        "SELECT event_id, cost, toString(occurred_at), team, provider, model FROM usage "
        f"WHERE {cell.of_archive()} AND cost IS NOT NULL AND cost != 0 "
        f"ORDER BY abs(cost) DESC, event_id LIMIT {SHOWN}"
    )
    steps = [
        Step(f"event {name}", cost, (f"{at} UTC, team {team}, {provider}/{model}",))
        for name, cost, at, team, provider, model in clickhouse.query(sql)
    ]
    facts = ("spendstream explain event ID goes on from here",) if steps else ("there are none",)
    return Step("the dearest events", facts=facts, sql=sql, because=tuple(steps))


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    known = [pico(amount) for amount in amounts if amount is not None]
    return usd(sum(known)) if known else None


def _usd(amount: Decimal | None) -> str:
    return "nothing known" if amount is None else f"${money_text(amount)}"


def _instant(at: datetime) -> str:
    return f"toDateTime({literal(at.astimezone(UTC).replace(tzinfo=None))}, 'UTC')"


def _span(since: datetime, until: datetime) -> str:
    """Whole days by their dates, both included; else the moments, of which the last is not."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    if {(at.hour, at.minute) for at in (since, until)} == {(0, 0)}:
        first, last = f"{since:%Y-%m-%d}", f"{until - timedelta(days=1):%Y-%m-%d}"
        return f"{first} (UTC)" if first == last else f"{first} to {last} (UTC)"
    return f"from {since:%Y-%m-%d %H:%M} to before {until:%Y-%m-%d %H:%M} UTC"
