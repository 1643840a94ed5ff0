"""Entries of few rows, as most are: to loop over them is ten times faster than to group them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from schemas.tokens import BUCKET_NAMES

FEW = 100
"""Rows up to which that is so. What is grouped comes to the same sums."""


def values(rows: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples of these columns."""
    return zip(*(rows[name].to_list() for name in names), strict=True)


def sums(rows: pl.DataFrame, names: Sequence[str] = BUCKET_NAMES) -> list[int]:
    """For each row the sum of these columns; of all tokens, unless said otherwise."""
    return [sum(numbers) for numbers in values(rows, names)]
