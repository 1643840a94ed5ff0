from __future__ import annotations

import pytest

from streams.metering.dedupe import IdWindow, Repeats

HORIZON = 10


def observe(window: IdWindow, *events: tuple[int, str] | tuple[int, str, int]) -> Repeats:
    """Take in (offset, id) or (offset, id, digest)."""
    offsets = [event[0] for event in events]
    digests = [event[2] if len(event) == 3 else 0 for event in events]
    return window.observe(offsets, [event[1] for event in events], digests)


def test_an_id_that_was_not_seen_is_no_repeat():
    assert observe(IdWindow(HORIZON), (0, "a"), (1, "b")) == Repeats()


def test_a_repeat_in_the_same_batch_is_found():
    assert observe(IdWindow(HORIZON), (0, "a"), (1, "b"), (2, "a")) == Repeats(duplicates=(2,))


def test_a_repeat_in_a_later_batch_of_the_block_is_found():
    window = IdWindow(HORIZON)
    observe(window, (0, "a"))
    assert observe(window, (1, "b"), (9, "a")) == Repeats(duplicates=(1,))


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [(0, 9, True), (9, 10, True), (0, 19, True), (0, 20, False), (9, 20, False), (10, 29, True)],
)
def test_an_id_is_known_in_its_block_and_in_the_next(first, second, found):
    together = observe(IdWindow(HORIZON), (first, "a"), (second, "a"))
    assert together == Repeats(duplicates=(1,) if found else ())
    window = IdWindow(HORIZON)
    observe(window, (first, "a"))
    assert observe(window, (second, "a")) == Repeats(duplicates=(0,) if found else ())


def test_a_block_without_events_counts_as_a_block():
    window = IdWindow(HORIZON)
    assert observe(window, (5, "a"), (25, "a")) == Repeats()


def test_a_repeat_is_itself_an_earlier_event_for_the_next_block():
    events = (0, "a"), (10, "a"), (20, "a"), (40, "a")
    assert observe(IdWindow(HORIZON), *events) == Repeats(duplicates=(1, 2))


def test_another_payload_under_a_known_id_is_a_conflict():
    events = (0, "a", 1), (1, "a", 2), (2, "a", 1), (12, "a", 2)
    assert observe(IdWindow(HORIZON), *events) == Repeats(duplicates=(2,), conflicts=(1, 3))


def test_a_conflict_in_the_next_batch_is_found_as_in_the_same():
    window = IdWindow(HORIZON)
    observe(window, (0, "a", 1))
    assert observe(window, (10, "a", 2)) == Repeats(conflicts=(0,))


def test_a_rebuilt_window_knows_the_same_conflicts_as_one_that_was_always_there():
    """Block 0 is out of sight in block 2: what it held must not be remembered by a detour."""
    always = IdWindow(HORIZON)
    observe(always, (0, "a", 1), (10, "a", 2))
    rebuilt = IdWindow(HORIZON)
    observe(rebuilt, (10, "a", 2))
    expected = Repeats(duplicates=(0,))
    assert observe(rebuilt, (20, "a", 2)) == expected
    assert observe(always, (20, "a", 2)) == expected


def test_an_id_that_an_earlier_log_held_is_a_duplicate_and_never_a_conflict():
    window = IdWindow(HORIZON, prior={"old"})
    assert observe(window, (0, "new"), (1, "old", 5)) == Repeats(duplicates=(1,))


def test_an_id_of_an_earlier_log_is_compared_with_its_first_payload_here():
    window = IdWindow(HORIZON, prior={"old"})
    repeats = observe(window, (1, "old", 5), (2, "old", 5), (3, "old", 6))
    assert repeats == Repeats(duplicates=(0, 1), conflicts=(2,))


@pytest.mark.parametrize(("offset", "found"), [(19, True), (20, False)])
def test_the_ids_of_an_earlier_log_are_known_in_the_first_two_blocks(offset, found):
    """A window rebuilt at offset 20 is not given them: one that was always there must agree."""
    assert (IdWindow.rebuild_from(offset, HORIZON) == 0) is found
    always = IdWindow(HORIZON, prior={"old"})
    observe(always, (0, "a"))
    assert observe(always, (offset, "old")) == Repeats(duplicates=(0,) if found else ())


@pytest.mark.parametrize(
    ("offset", "expected"), [(0, 0), (9, 0), (10, 0), (19, 0), (20, 10), (29, 10), (30, 20)]
)
def test_a_window_is_rebuilt_from_the_block_before(offset, expected):
    assert IdWindow.rebuild_from(offset, HORIZON) == expected


def test_no_events_are_no_repeats():
    assert IdWindow(HORIZON).observe([], [], []) == Repeats()
