"""A gateway asks before every call: a decision in memory must not be felt."""

from __future__ import annotations

from benchmarks.decisions import decide_often

P99_SECONDS = 0.001


def test_a_decision_among_ten_thousand_members_takes_less_than_a_millisecond():
    seconds = sorted(decide_often())
    p99 = seconds[len(seconds) * 99 // 100]
    assert p99 < P99_SECONDS, f"{p99 * 1e6:.0f} µs"
