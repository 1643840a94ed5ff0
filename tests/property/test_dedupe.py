"""The dedupe law: who repeats whom is a matter of the log alone."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.metering.dedupe import IdWindow

Event = tuple[int, str, int]
"""Offset, id, digest of the payload."""

PRIOR = frozenset("yz")
horizons = st.integers(1, 12)


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    steps = draw(st.lists(st.integers(1, 4) | st.integers(1, 30), max_size=60))
    offset = draw(st.integers(0, 30)) - 1
    events = []
    for step in steps:
        offset += step
        event_id = draw(st.sampled_from("abcdefyz"))
        events.append((offset, event_id, draw(st.integers(0, 1))))
    return events


def by_the_rule(log: Sequence[Event], horizon: int) -> dict[int, str]:
    """Offset → fate, by looking back at every event for every event."""
    fates = {}
    for offset, event_id, digest in log:
        block = offset // horizon
        earlier = [
            d for o, i, d in log if i == event_id and o < offset and o // horizon >= block - 1
        ]
        if earlier:
            fates[offset] = "duplicate" if digest == earlier[0] else "conflict"
        elif event_id in PRIOR and block <= 1:
            fates[offset] = "duplicate"
    return fates


def observed(window: IdWindow, events: Sequence[Event]) -> dict[int, str]:
    repeats = window.observe([e[0] for e in events], [e[1] for e in events], [e[2] for e in events])
    fates = {events[position][0]: "duplicate" for position in repeats.duplicates}
    return fates | {events[position][0]: "conflict" for position in repeats.conflicts}


@settings(max_examples=200, deadline=None)
@given(log=logs(), horizon=horizons, data=st.data())
def test_however_the_log_is_cut_and_the_window_rebuilt_the_same_events_are_repeats(
    log, horizon, data
):
    window = IdWindow(horizon, PRIOR)
    fates: dict[int, str] = {}
    at = 0
    while at < len(log):
        if data.draw(st.booleans(), label="crash"):
            following = log[at][0] - data.draw(st.integers(0, 2), label="hole before")
            following = max(following, log[at - 1][0] + 1 if at else 0)
            start = IdWindow.rebuild_from(following, horizon)
            window = IdWindow(horizon, PRIOR if start == 0 else frozenset())
            for event in (e for e in log if start <= e[0] < following):
                observed(window, [event])
        size = data.draw(st.integers(1, 20), label="batch")
        fates |= observed(window, log[at : at + size])
        at += size
    assert fates == by_the_rule(log, horizon)


@settings(max_examples=200, deadline=None)
@given(log=logs(), horizon=horizons)
def test_every_repeat_within_the_horizon_is_found(log, horizon):
    found = observed(IdWindow(horizon), log)
    for index, (offset, event_id, _) in enumerate(log):
        if any(i == event_id and offset - o <= horizon for o, i, _ in log[:index]):
            assert offset in found


@settings(max_examples=200, deadline=None)
@given(log=logs(), horizon=horizons)
def test_no_event_is_a_repeat_of_nothing(log, horizon):
    found = observed(IdWindow(horizon), log)
    seen: set[str] = set()
    for offset, event_id, _ in log:
        assert offset not in found or event_id in seen
        seen.add(event_id)
