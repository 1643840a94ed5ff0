"""Asking ClickHouse for figures: one query for many, each with the SQL that gives it alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reports.figures.figure import Column, Figure, Measure, Table
from reports.figures.lens import DIMENSIONS, USD, Lens
from sinks.clickhouse import ClickHouse

MONEY_COLUMNS = ("cost", "failed_cost", "retry_cost", "wasted_cost", "provider_cost")


def ledger(lens: Lens) -> str:
    """`spend_by_day`, with its money in the lens's currency, by the rate of each day."""
    if lens.currency == USD:
        return "spend_by_day"
    money = ", ".join(f"{name} * r.rate AS {name}" for name in MONEY_COLUMNS)
    return (
        f"(SELECT s.* REPLACE ({money}) FROM spend_by_day AS s LEFT JOIN ({rates()}) AS r "
        "ON s.day = r.day)"
    )


def rates() -> str:
    """The rate of each day of the period: units of the currency for a dollar."""
    return (
        "SELECT day, rate FROM daily_exchange_rates WHERE currency = {currency:String} "
        "AND day >= {first:Date} AND day <= {last:Date}"
    )


def figures(
    clickhouse: ClickHouse,
    lens: Lens,
    measures: Sequence[Measure],
    *,
    source: str | None = None,
    where: str | None = None,
) -> dict[str, Figure]:
    """The figures by name, of the ledger by day unless another source is given.

    Raises ClickHouseError.
    """
    rest = f"FROM {source or ledger(lens)} WHERE {where or lens.where()}"
    together = lens.query(f"SELECT {', '.join(one.sql for one in measures)} {rest}")
    (values,) = together.rows(clickhouse)
    return {
        one.name: Figure(
            one.name,
            one.title,
            one.kind,
            value,
            unit_of(one.kind, one.unit, lens),
            one.definition,
            lens.query(f"SELECT {one.sql} {rest}").text,
        )
        for one, value in zip(measures, values, strict=True)
    }


def table(
    clickhouse: ClickHouse,
    lens: Lens,
    name: str,
    title: str,
    *,
    keys: Sequence[Column],
    measures: Sequence[Measure],
    order: str,
    definition: str = "",
    source: str | None = None,
    where: str | None = None,
    having: str = "",
    limit: int | None = None,
    **values: Any,
) -> Table:
    """A row for each of the keys' values. A key's name is a column of the source. ``values``: what
    else the conditions are bound to.

    ``order``: SQL over positions (`2 DESC`), so that no alias hides a column.
    Raises ClickHouseError.
    """
    names = ", ".join(key.name for key in keys)
    chosen = ", ".join([names, *(one.sql for one in measures)])
    sql = f"SELECT {chosen} FROM {source or ledger(lens)} WHERE {where or lens.where()}"
    sql += f" GROUP BY {names}" + (f" HAVING {having}" if having else "")
    grouped = sql
    sql += f" ORDER BY {order}" + (f" LIMIT {limit}" if limit else "")
    query = lens.query(sql, **values)
    rows = query.rows(clickhouse)
    of = None
    if limit is not None and len(rows) == limit:
        ((of,),) = lens.query(f"SELECT count() FROM ({grouped})", **values).rows(clickhouse)
    return Table(
        name,
        title,
        (*_keys(keys), *_columns(measures, lens)),
        tuple(rows),
        definition,
        query.text,
        of if of is not None and int(of) > len(rows) else None,
    )


def unit_of(kind: str, unit: str, lens: Lens) -> str:
    """The unit of a measure: money is in the lens's currency."""
    return {"money": lens.currency, "usd": USD}.get(kind, unit)


def _keys(keys: Sequence[Column]) -> Iterator[Column]:
    for key in keys:
        yield Column(key.name, key.title, key.kind, key.unit, key=True)


def _columns(measures: Sequence[Measure], lens: Lens) -> Iterator[Column]:
    for one in measures:
        yield Column(one.name, one.title, one.kind, unit_of(one.kind, one.unit, lens))


def key(name: str, title: str = "") -> Column:
    """A column that rows are about: a day, or a name."""
    title = title or name.replace("_", " ").capitalize()
    return Column(name, title, "day" if name == "day" else "text", key=True)


__all__ = ["DIMENSIONS", "figures", "key", "ledger", "rates", "table", "unit_of"]
