"""The rollup law: it is what adding up the events by hand gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.batch import events_frame
from schemas.journal import DIMENSIONS, ROW_SCHEMA
from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent
from streams.metering.rollup import rollup

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
FEW_TEXTS = ["team", "provider", "model", "user", "region", "workflow", "error_code"]
SUMMED = ("calls", *BUCKET_NAMES, "cost", "provider_cost")

Rated = tuple[UsageEvent, int, int | None, str | None]
"""Event, partition, cost in pico-dollars, price reference."""


@st.composite
def rated_events(draw: st.DrawFn) -> Rated:
    fields: dict[str, Any] = {name: draw(st.sampled_from(["a", "b"])) for name in FEW_TEXTS}
    for name in draw(st.sets(st.sampled_from(FEW_TEXTS[3:]))):
        fields[name] = None
    fields["occurred_at"] = NOON + timedelta(microseconds=draw(st.integers(0, 180_000_000)))
    counts = st.integers(0, 80_000_000)
    buckets = draw(st.dictionaries(st.sampled_from(BUCKET_NAMES), counts, max_size=3))
    optional = {
        "attempt": st.integers(1, 3),
        "retry_of": st.just("r"),
        "shadow_of": st.just("s"),
        "served_from_cache": st.booleans(),
        "status": st.sampled_from(["ok", "error"]),
        "provider_cost": st.decimals(0, 999_999_999, places=12).map(lambda cost: f"{cost:f}"),
    }
    for name in draw(st.sets(st.sampled_from(sorted(optional)), max_size=3)):
        fields[name] = draw(optional[name])
    event_id = draw(st.text("xyz", min_size=1, max_size=3))
    void = draw(st.booleans())
    fields |= {"kind": "void", "voids": event_id} if void else {}
    event = UsageEvent.model_validate(
        fields
        | buckets
        | {
            "event_id": f"void:{event_id}" if void else event_id,
            "usage_source": "reported" if buckets else "missing",
        }
    )
    cost = draw(st.none() | st.integers(0, 100) | st.integers(2**62, 2**63 - 1))
    if cost is not None and void:
        cost = -cost
    return event, draw(st.integers(0, 1)), cost, None if cost is None else "list"


def frame_of(rated: Sequence[Rated]) -> pl.DataFrame:
    costs = [cost for _, _, cost, _ in rated]
    return events_frame([event for event, *_ in rated]).with_columns(
        pl.Series("partition", [partition for _, partition, *_ in rated], dtype=pl.Int32),
        pl.Series("cost_pico", costs, dtype=pl.Int64),
        pl.Series("rating", [_rating(cost) for cost in costs], dtype=pl.String),
        pl.Series("price_ref", [reference for *_, reference in rated], dtype=pl.String),
    )


def _rating(cost: int | None) -> str:
    return "unpriced" if cost is None else "priced"


def _add(total: Any, amount: Any) -> Any:
    if amount is None:
        return total
    return amount if total is None else total + amount


def by_hand(rated: Sequence[Rated]) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(
        lambda: {"calls": 0, **dict.fromkeys(BUCKET_NAMES, 0), "cost": None, "provider_cost": None}
    )
    for event, partition, cost, reference in rated:
        derived = {
            "is_retry": (event.attempt or 1) > 1 or event.retry_of is not None,
            "is_shadow": event.shadow_of is not None,
            "rating": _rating(cost),
            "price_ref": reference,
        }
        named = event.model_dump() | derived
        minute = event.occurred_at.replace(second=0, microsecond=0)
        row = rows[partition, minute, *(named[name] for name in DIMENSIONS)]
        sign = -1 if event.kind == "void" else 1
        row["calls"] += sign
        for name in BUCKET_NAMES:
            row[name] += sign * (named[name] or 0)
        charged = event.provider_cost
        row["cost"] = _add(row["cost"], None if cost is None else Decimal(cost).scaleb(-12))
        row["provider_cost"] = _add(
            row["provider_cost"], None if charged is None else sign * Decimal(charged)
        )
    return dict(rows)


@settings(max_examples=50, deadline=None)
@given(st.lists(rated_events(), max_size=25))
def test_a_rollup_is_the_sum_by_hand_and_its_money_is_that_of_the_events(rated):
    with localcontext(prec=60):
        table = rollup(frame_of(rated))
        assert table.schema.equals(ROW_SCHEMA)
        rows = table.to_pylist()
        keys = ["partition", "minute", *DIMENSIONS]
        found = {tuple(row[k] for k in keys): {n: row[n] for n in SUMMED} for row in rows}
        assert len(found) == len(rows)
        assert found == by_hand(rated)
        total = sum(row["cost"] for row in rows if row["cost"] is not None)
        assert total == sum(Decimal(c).scaleb(-12) for *_, c, _ in rated if c is not None)
        signs = [-1 if event.kind == "void" else 1 for event, *_ in rated]
        assert sum(row["calls"] for row in rows) == sum(signs)


@settings(max_examples=15, deadline=None)
@given(st.lists(rated_events(), max_size=20), st.integers(0, 20))
def test_cut_anywhere_the_two_rollups_add_up_to_the_whole(rated, cut):
    def totals(*parts: Sequence[Rated]) -> dict[str, Any]:
        rows = [row for part in parts for row in rollup(frame_of(part)).to_pylist()]
        return {n: sum(row[n] for row in rows if row[n] is not None) for n in SUMMED}

    with localcontext(prec=60):
        assert totals(rated[:cut], rated[cut:]) == totals(rated)
