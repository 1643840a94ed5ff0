"""Rollup: rated events to journal rows, one per partition, minute and attribution."""

from __future__ import annotations

from typing import cast

import polars as pl
import pyarrow as pa

from schemas.journal import DIMENSIONS, ROW_SCHEMA, pico_to_money
from schemas.tokens import BUCKET_NAMES

_DERIVED = {
    "is_retry": (pl.col("attempt") > 1).fill_null(value=False) | pl.col("retry_of").is_not_null(),
    "is_shadow": pl.col("shadow_of").is_not_null(),
}


def rollup(events: pl.DataFrame) -> pa.Table:
    """Rows of `ROW_SCHEMA` for rated events that have a ``partition`` column.

    Sums are 128-bit: however many events, no sum wraps around. No events, no rows.
    """
    if events.is_empty():
        return ROW_SCHEMA.empty_table()
    frame = events.with_columns(
        pl.col("occurred_at").dt.truncate("1m").dt.cast_time_unit("ms").alias("minute"),
        pl.when(pl.col("kind") == "void").then(-1).otherwise(1).cast(pl.Int64).alias("calls"),
        *(expression.alias(name) for name, expression in _DERIVED.items()),
    )
    keys = ["partition", "minute", *DIMENSIONS]
    constant = {name: frame[name][0] for name in keys if _is_constant(frame[name])}
    varying = [name for name in keys if name not in constant]
    sign = pl.col("calls")
    tokens = [
        pl.lit(0, dtype=pl.Int64).alias(name)
        if frame[name].null_count() == frame.height
        else (pl.col(name).fill_null(0) * sign).sum().alias(name)
        for name in BUCKET_NAMES
    ]
    sums = [
        pl.col("calls").sum(),
        *tokens,
        _sum_or_null(pl.col("cost_pico").cast(pl.Int128), "cost"),
        _provider_cost(frame["provider_cost"], sign),
    ]
    grouped = frame.group_by(varying, maintain_order=True).agg(sums) if varying else None
    rows = frame.select(sums) if grouped is None else grouped
    types = frame.schema
    rows = rows.with_columns(
        pl.lit(value, dtype=types[name]).alias(name) for name, value in constant.items()
    )
    return _as_journal_rows(rows)


def _is_constant(column: pl.Series) -> bool:
    if column.null_count() == len(column):
        return True
    return column.null_count() == 0 and bool((column == column[0]).all())


def _sum_or_null(column: pl.Expr, name: str) -> pl.Expr:
    """The sum of what is known; null, not zero, where nothing is."""
    return pl.when(column.is_not_null().any()).then(column.sum()).alias(name)


def _provider_cost(column: pl.Series, sign: pl.Expr) -> pl.Expr:
    if column.null_count() == len(column):
        return pl.lit(None, dtype=pl.Decimal(38, 12)).alias(column.name)
    amount = pl.col(column.name).cast(pl.Decimal(38, 12))
    signed = pl.when(sign < 0).then(-amount).otherwise(amount)
    return _sum_or_null(signed, column.name)


def _as_journal_rows(rows: pl.DataFrame) -> pa.Table:
    table = rows.with_columns(pl.col("cost").cast(pl.Decimal(38, 0))).to_arrow()
    columns = []
    for field in ROW_SCHEMA:
        column = table.column(field.name).combine_chunks()
        column = pico_to_money(column) if field.name == "cost" else column.cast(field.type)
        columns.append(column)
    return cast("pa.Table", pa.Table.from_arrays(columns, schema=ROW_SCHEMA))
