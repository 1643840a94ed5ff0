"""The sums that the detectors share: exact, bounded in time and in memory."""

from __future__ import annotations

import random
import tracemalloc
from datetime import timedelta
from decimal import Decimal

from streams.detectors.series import MINUTE, Series
from tests.support.detectors import entry, minute, row

CENT = 10**10


def series(keep=60, measures=("calls", "cost"), dimensions=("team",), **options):
    return Series(dimensions, measures, MINUTE, keep, **options)


def test_sums_are_exact_by_key_and_slot():
    counted = series()
    tiny = Decimal("0.000000000001")
    counted.add_rows(entry(row(0, 2, cost=tiny), row(0, 3, cost=Decimal(10**7) + tiny)).rows)
    counted.add_rows(entry(row(1, 5, cost=None), row(0, 7, team="other")).rows)
    at = counted.slot_of(minute(0))
    assert counted.total(("search",), at, at) == (5, 10**19 + 2)
    assert counted.total(("search",), at, at + 1) == (10, 10**19 + 2)
    assert counted.total(("other",), at, at + 1) == (7, 100 * CENT)
    assert counted.total(("nobody",), at, at + 1) == (0, 0)


def test_tokens_are_those_of_all_buckets_of_their_side():
    counted = series(measures=("input_tokens", "output_tokens"))
    counted.add_rows(
        entry(row(input_tokens=1, cache_read_tokens=10, output_tokens=100, reasoning_tokens=7)).rows
    )
    at = counted.slot_of(minute(0))
    assert counted.total(("search",), at, at) == (11, 107)


def test_a_void_takes_back_what_it_voids():
    counted = series(measures=("calls", "cost", "input_tokens"))
    voided = row(0, -1, cost=Decimal(-1), input_tokens=-9)
    counted.add_rows(entry(row(0, 1, input_tokens=9), voided).rows)
    at = counted.slot_of(minute(0))
    assert counted.total(("search",), at, at) == (0, 0, 0)


def test_a_shadow_call_costs_but_is_nobodys_call_unless_all_of_it_is_to_count():
    rows = entry(row(0, 1, input_tokens=5), row(0, 1, input_tokens=5, is_shadow=True)).rows
    measures = ("calls", "cost", "input_tokens")
    paid, ignored = series(measures=measures), series(measures=measures, shadows="none")
    whole = series(measures=measures, shadows="all")
    for counted in (paid, ignored, whole):
        counted.add_rows(rows)
    at = paid.slot_of(minute(0))
    assert paid.total(("search",), at, at) == (1, 200 * CENT, 5)
    assert ignored.total(("search",), at, at) == (1, 100 * CENT, 5)
    assert whole.total(("search",), at, at) == (2, 200 * CENT, 10)


def test_a_row_tells_which_keys_changed_and_since_when():
    counted = series()
    changed = counted.add_rows(entry(row(3), row(1), row(2, team="other")).rows)
    at = counted.slot_of(minute(0))
    assert changed == {("search",): at + 1, ("other",): at + 2}


def test_old_slots_are_forgotten_and_what_comes_too_late_is_not_counted():
    counted = series(keep=10)
    counted.add_rows(entry(row(0), row(5)).rows)
    counted.add_rows(entry(row(12)).rows)
    at = counted.slot_of(minute(0))
    assert counted.total(("search",), at, at + 12) == (2, 200 * CENT)
    assert counted.add_rows(entry(row(2)).rows) == {}
    assert counted.total(("search",), at, at + 12) == (2, 200 * CENT)
    assert len(counted) == 2


def test_the_order_of_entries_does_not_matter():
    rng = random.Random(7)
    rows = [
        row(rng.randrange(100), rng.choice([1, 5, -1]), team=rng.choice("abc")) for _ in range(300)
    ]
    first = series(keep=40)
    first.add_rows(entry(*rows).rows)
    for _ in range(3):
        rng.shuffle(rows)
        other = series(keep=40)
        for start in range(0, 300, 20):
            other.add_rows(entry(*rows[start : start + 20]).rows)
        assert other.counters() == first.counters()


def test_a_sliding_total_equals_the_total_of_each_window():
    rng = random.Random(8)
    counted = series()
    counted.add_rows(entry(*(row(rng.randrange(60), rng.randrange(9)) for _ in range(80))).rows)
    at = counted.slot_of(minute(0))
    steps = range(at + 20, at + 60)
    assert list(counted.sliding(("search",), steps, 15)) == [
        (step, counted.total(("search",), step - 14, step)) for step in steps
    ]


def test_a_key_may_be_counted_under_another_or_not_at_all():
    counted = series(under=lambda key: None if key[0] == "secret" else ("all",))
    counted.add_rows(entry(row(team="a"), row(team="b"), row(team="secret")).rows)
    at = counted.slot_of(minute(0))
    assert counted.at(at) == {("all",): (2, 200 * CENT)}


def test_counters_are_told_apart_by_key_and_by_slot():
    one, other = series(), series()
    one.add_rows(entry(row(0, team="a"), row(1, team="b")).rows)
    other.add_rows(entry(row(1, team="a"), row(0, team="b", calls=2)).rows)
    assert one.counters() != other.counters()
    assert one.counters()["a calls"] == 1
    assert one.counters()["2026-03-10 12:01 calls"] == 1


def test_a_counter_takes_less_than_300_bytes():
    """Workflows with few minutes each are the worst case: hardly anything is shared."""
    many = [
        [
            row(at, team=f"team-{n % 20}", application=f"app-{n % 60}", workflow=f"run-{n:032d}")
            for n in range(at * 400, at * 400 + 1200)
        ]
        for at in range(10)
    ]
    frames = [entry(*rows).rows for rows in many]
    counted = series(dimensions=("team", "application", "workflow"))
    tracemalloc.start()
    for frame in frames:
        counted.add_rows(frame)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(counted) == 12_000
    assert used / len(counted) <= 300


def test_slots_may_be_days():
    counted = Series(("team",), ("calls",), timedelta(days=1), 2)
    counted.add_rows(entry(row(-12 * 60), row(11 * 60 + 59), row(12 * 60)).rows)
    today = counted.slot_of(minute(0))
    assert [counted.at(day) for day in (today, today + 1)] == [
        {("search",): (2,)},
        {("search",): (1,)},
    ]
    assert f"{counted.start_of(today):%Y-%m-%d %H:%M}" == "2026-03-10 00:00"
