from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from schemas.batch import events_frame
from schemas.journal import DIMENSIONS, MONEY, ROW_SCHEMA
from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent
from streams.metering.rollup import rollup
from tests.corpus.events import MAXIMAL, MINIMAL, with_

PICO = Decimal("0.000000000001")


def rated(*events: dict[str, Any], costs: list[int | None] | None = None) -> pl.DataFrame:
    """Events (changes to MINIMAL) in partition 0; their costs in pico-dollars, 7 if not given."""
    costs = [7] * len(events) if costs is None else costs
    frame = events_frame([UsageEvent.model_validate(with_(MINIMAL, **e)) for e in events])
    return frame.with_columns(
        pl.lit(0, dtype=pl.Int32).alias("partition"),
        pl.Series("cost_pico", costs, dtype=pl.Int64),
        pl.Series("rating", ["unpriced" if c is None else "priced" for c in costs]),
        pl.lit("list", dtype=pl.String).alias("price_ref"),
    )


def rolled(*events: dict[str, Any], costs: list[int | None] | None = None) -> list[dict[str, Any]]:
    return rollup(rated(*events, costs=costs)).to_pylist()


def test_no_events_make_no_rows():
    table = rollup(rated())
    assert table.schema.equals(ROW_SCHEMA)
    assert table.num_rows == 0


def test_events_of_one_minute_and_attribution_make_one_row_that_adds_up():
    (row,) = rolled(
        {"occurred_at": "2026-11-01T12:00:00Z", "input_tokens": 3, "output_tokens": 5},
        {"occurred_at": "2026-11-01T12:00:59.999999Z", "input_tokens": 4, "output_tokens": None},
        costs=[10, 20],
    )
    assert row["minute"] == datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (2, 7, 5)
    assert row["cost"] == 30 * PICO
    assert row["provider_cost"] is None
    assert (row["partition"], row["team"], row["rating"]) == (0, "search", "priced")


def test_the_next_minute_is_another_row():
    rows = rolled({"occurred_at": "2026-11-01T12:00:59Z"}, {"occurred_at": "2026-11-01T12:01:00Z"})
    assert [row["minute"].minute for row in rows] == [0, 1]


def test_another_partition_is_another_row():
    frame = rated({}, {}).with_columns(pl.Series("partition", [0, 1], dtype=pl.Int32))
    assert rollup(frame)["partition"].to_pylist() == [0, 1]


EVENT_DIMENSIONS = [
    name
    for name in DIMENSIONS
    if name not in {"rating", "price_ref", "is_retry", "is_shadow", "kind"}
]


@pytest.mark.parametrize("name", EVENT_DIMENSIONS)
def test_every_attribution_makes_its_own_rows(name):
    other = False if name == "served_from_cache" else MAXIMAL[name]
    changed = {name: "elsewhere"} if MINIMAL.get(name) == other else {name: other}
    rows = rolled({}, changed, {}, changed)
    assert [row["calls"] for row in rows] == [2, 2]
    assert [row[name] for row in rows] == [MINIMAL.get(name), changed[name]]


@pytest.mark.parametrize("name", ["rating", "price_ref"])
def test_every_kind_of_price_makes_its_own_rows(name):
    frame = rated({}, {}, {}).with_columns(pl.Series(name, ["a", None, "a"], dtype=pl.String))
    assert {r[name]: r["calls"] for r in rollup(frame).to_pylist()} == {"a": 2, None: 1}


def test_null_is_a_group_of_its_own_apart_from_the_empty_text():
    rows = rolled({"user": ""}, {"user": None}, {"user": ""})
    assert {row["user"]: row["calls"] for row in rows} == {"": 2, None: 1}


def test_a_void_takes_back_its_call_its_tokens_and_its_costs():
    usage = {"event_id": "e", "input_tokens": 3, "provider_cost": "0.5"}
    void = usage | {"event_id": "void:e", "kind": "void", "voids": "e"}
    rows = {row["kind"]: row for row in rolled(usage, void, costs=[10, -10])}
    assert (rows["void"]["calls"], rows["void"]["input_tokens"]) == (-1, -3)
    assert rows["void"]["cost"] == -10 * PICO
    assert rows["void"]["provider_cost"] == Decimal("-0.5")
    for name in ("calls", "cost", "provider_cost", *BUCKET_NAMES):
        assert rows["usage"][name] + rows["void"][name] == 0


def test_an_unknown_cost_is_null_and_not_zero():
    (row,) = rolled({}, {}, costs=[None, None])
    assert row["cost"] is None
    assert row["input_tokens"] == 2400


def test_a_cost_of_zero_is_zero_and_not_null():
    (row,) = rolled({"served_from_cache": True}, costs=[0])
    assert row["cost"] == 0


def test_unknown_costs_do_not_hide_known_ones():
    rows = {row["rating"]: row["cost"] for row in rolled({}, {}, {}, costs=[None, 5, 6])}
    assert rows == {"unpriced": None, "priced": 11 * PICO}


def test_sums_go_beyond_64_bits_of_pico_dollars():
    most = 2**63 - 1
    (row,) = rolled(*[{}] * 5, costs=[most] * 5)
    assert row["cost"] == 5 * most * PICO
    (row,) = rolled(*[{}] * 5, costs=[-most] * 5)
    assert row["cost"] == -5 * most * PICO


def test_what_the_provider_charged_is_summed_exactly_where_it_said_so():
    highest, lowest = "999999999.999999999999", "0.000000000001"
    events = [{"provider_cost": amount} for amount in (highest, None, highest, lowest)]
    (row,) = rolled(*events)
    assert row["provider_cost"] == 2 * Decimal(highest) + Decimal(lowest)
    assert rollup(rated(*events)).schema.field("provider_cost").type == MONEY


def test_rows_whose_provider_said_nothing_stay_null_beside_others():
    rows = rolled({"team": "a", "provider_cost": "0.1"}, {"team": "b"})
    assert [row["provider_cost"] for row in rows] == [Decimal("0.1"), None]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"attempt": 1}, False),
        ({"attempt": 2}, True),
        ({"retry_of": "e-0"}, True),
        ({"attempt": 1, "retry_of": "e-0"}, True),
    ],
)
def test_an_attempt_after_the_first_is_a_retry(fields, expected):
    (row,) = rolled(fields)
    assert row["is_retry"] is expected


def test_a_copy_of_a_call_is_a_shadow():
    rows = rolled({}, {"shadow_of": "e-0"})
    assert [row["is_shadow"] for row in rows] == [False, True]


def test_retries_of_different_numbers_are_one_row():
    (row,) = rolled({"attempt": 2}, {"attempt": 3, "retry_of": "x"})
    assert (row["is_retry"], row["calls"]) == (True, 2)


def test_the_rows_have_the_journals_columns():
    table = rollup(rated(with_(MAXIMAL), {}))
    assert table.schema.equals(ROW_SCHEMA)
    table.validate(full=True)
    assert table.num_rows == 2
