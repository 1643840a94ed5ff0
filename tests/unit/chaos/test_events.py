"""The traffic of the fault suite: what it says of its own events must be so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.chaos.events import STEADY, TEAMS, Event, EventSource
from tests.support.records import Record

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    source = EventSource(seed=5)
    mix = [source.next("r1", NOW) for _ in range(3000)]
    early = [source.call("r1", NOW + timedelta(days=1), early=True) for _ in range(20)]
    late = [source.call("r1", NOW - timedelta(days=1), early=False) for _ in range(20)]
    return [*mix, *early, *late]


def test_the_product_s_own_reading_gives_the_known_figures(events):
    # The broker's clock is the right one.
    at = int(NOW.timestamp() * 1000)
    records = [Record(0, n, e.value, timestamp=at) for n, e in enumerate(events)]
    frame, refusals = decoded_records(records, PriceBook.load(None), lambda _: None)
    sign = pl.when(pl.col("kind") == "void").then(-1).otherwise(1)
    tokens = pl.sum_horizontal("input_tokens", "cache_read_tokens", "output_tokens")
    found = {
        offset: (calls, count, None if cost is None else int(cost), minute)
        for offset, calls, count, cost, minute in frame.select(
            "offset",
            sign.alias("calls"),
            (sign * tokens).alias("tokens"),
            "cost_pico",
            (pl.col("occurred_at").dt.epoch("s") // 60).alias("minute"),
        ).iter_rows()
    }
    known = {
        n: (e.line.calls, e.line.tokens, e.line.cost, e.line.minute)
        for n, e in enumerate(events)
        if e.line is not None
    }
    assert found == known
    assert sorted(refusals) == [n for n, e in enumerate(events) if e.line is None]
    assert {e.reason for n, e in enumerate(events) if n in refusals and e.reason} == {
        "time_in_future"
    }
    assert all(refusals[n].code == e.reason for n, e in enumerate(events) if e.reason)


def test_the_mix_holds_everything_that_a_fault_may_hurt(events):
    lines = [event.line for event in events if event.line is not None]
    assert any(line.calls == -1 for line in lines)
    assert any(line.cost is None for line in lines)
    assert any(event.line is None and event.reason is None for event in events)
    assert {event.team for event in events} == set(TEAMS)
    assert not any(e.line and e.line.calls < 0 and e.team in STEADY for e in events)


def test_the_same_seed_makes_the_same_events():
    one, other = (EventSource(seed=9) for _ in range(2))
    assert [one.next("r1", NOW) for _ in range(500)] == [other.next("r1", NOW) for _ in range(500)]
