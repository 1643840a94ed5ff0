from __future__ import annotations

from schemas.journal import Adjustment, Entry, Range, SourcePartition
from streams.journal.fence import Fence, Mark
from tests.support.ledger_rows import journal_row, journal_rows

SOURCE = "cluster/llm.usage"
HERE = SourcePartition(SOURCE, 0)
THERE = SourcePartition(SOURCE, 1)


def covered(start: int, through: int, partition: int = 0, source: str = SOURCE) -> Range:
    return Range(source=source, partition=partition, start=start, through=through)


def test_the_first_range_of_an_unknown_partition_counts_wherever_it_starts():
    fence = Fence()
    assert fence.next(HERE) is None
    assert fence.accept(covered(17, 20), 0)
    assert fence.next(HERE) == 21


def test_a_range_that_starts_where_the_last_one_ended_counts():
    fence = Fence()
    assert fence.accept(covered(0, 9), 0)
    assert fence.accept(covered(10, 10), 1)
    assert fence.next(HERE) == 11


def test_a_range_that_leaves_a_gap_is_dropped_and_changes_nothing():
    fence = Fence({HERE: Mark(10, 3)}, since=3)
    assert not fence.accept(covered(11, 20), 4)
    assert fence.marks == {HERE: Mark(10, 3)}
    assert fence.accept(covered(10, 20), 5)


def test_a_range_that_begins_too_early_is_dropped_even_where_it_ends_beyond():
    fence = Fence({HERE: Mark(10, 3)}, since=3)
    assert not fence.accept(covered(9, 20), 4)
    assert not fence.accept(covered(0, 9), 5)
    assert fence.next(HERE) == 10


def test_the_same_entry_appended_twice_counts_once():
    fence = Fence()
    assert fence.accept(covered(0, 9), 0)
    assert not fence.accept(covered(0, 9), 1)


def test_a_position_that_is_delivered_again_is_not_accepted_again():
    fence = Fence()
    assert fence.accept(covered(0, 9), 0)
    assert fence.accept(covered(10, 19), 1)
    assert not fence.accept(covered(0, 9), 0)
    assert not fence.accept(covered(10, 19), 1)
    assert fence.next(HERE) == 20


def test_an_old_position_is_not_accepted_where_its_range_would_now_be_next():
    """[10, 19] stood in the journal before [0, 9] did: it was dropped, and stays dropped."""
    fence = Fence({HERE: Mark(10, 7)}, since=7)
    assert not fence.accept(covered(10, 19), 6)
    assert not fence.accept(covered(10, 19), 7)
    assert fence.accept(covered(10, 19), 8)


def test_a_partition_without_a_mark_has_nothing_up_to_since_and_anything_after_it():
    fence = Fence({HERE: Mark(10, 5)}, since=5)
    assert not fence.accept(covered(0, 9, partition=1), 5)
    assert fence.next(THERE) is None
    assert fence.accept(covered(3, 9, partition=1), 6)


def test_a_mark_older_than_since_is_read_on_from_its_own_position():
    fence = Fence({HERE: Mark(10, 2)}, since=5)
    assert fence.accept(covered(10, 19), 3)
    assert not fence.accept(covered(0, 9, partition=1), 3)


def test_a_mark_newer_than_since_is_not_moved_by_what_came_before_it():
    fence = Fence({HERE: Mark(10, 8)}, since=2)
    assert not fence.accept(covered(10, 19), 5)
    assert fence.accept(covered(0, 9, partition=1), 5)


def test_a_mark_without_a_next_offset_takes_the_first_range_after_its_position():
    fence = Fence({HERE: Mark(None, 4)})
    assert fence.next(HERE) is None
    assert not fence.accept(covered(0, 9), 4)
    assert fence.accept(covered(0, 9), 5)


def test_a_fresh_reader_takes_position_zero():
    assert Fence().accept(covered(0, 0), 0)


def test_partitions_and_sources_do_not_touch_each_other():
    fence = Fence()
    assert fence.accept(covered(0, 9), 0)
    assert fence.accept(covered(50, 59, partition=1), 0)
    assert fence.accept(covered(3, 4, source="reborn/llm.usage"), 0)
    assert fence.next(HERE) == 10
    assert fence.next(THERE) == 60


def test_of_one_entry_only_the_ranges_that_are_next_count():
    fence = Fence({HERE: Mark(10, 3), THERE: Mark(5, 3)}, since=3)
    ranges = (covered(10, 19), covered(4, 9, partition=1), covered(0, 0, partition=2))
    assert fence.accepted(ranges, 4) == (ranges[0], ranges[2])
    assert fence.accepted(ranges, 4) == ()


def test_a_second_range_of_one_partition_in_one_entry_is_dropped():
    ranges = (covered(0, 9), covered(10, 19))
    assert Fence().accepted(ranges, 0) == ranges[:1]


def test_a_range_of_lost_offsets_alone_moves_the_partition_on():
    fence = Fence({HERE: Mark(10, 3)}, since=3)
    lost = covered(10, 99).model_copy(update={"lost": 90})
    assert fence.accept(lost, 4)
    assert fence.next(HERE) == 100


def test_given_marks_are_copied_and_returned_marks_are_a_copy():
    given = {HERE: Mark(10, 3)}
    fence = Fence(given, since=3)
    fence.accept(covered(10, 19), 4)
    assert given == {HERE: Mark(10, 3)}
    seen = dict(fence.marks)
    fence.accept(covered(20, 29), 5)
    assert seen == {HERE: Mark(20, 4)}
    assert fence.marks == {HERE: Mark(30, 5)}


def adjustment(name: str, partition: int = 0) -> Entry:
    rows = journal_rows(journal_row(partition=partition, calls=-1))
    return Entry(
        "m",
        (),
        rows,
        Adjustment(
            adjustment_id=name,
            reason="reconciliation",
            source=SOURCE,
            partition=partition,
            start=0,
            through=9,
        ),
    )


def test_an_adjustment_counts_once_whoever_appends_it_again():
    fence = Fence()
    first = fence.counted(adjustment("a"), 3)
    assert first.source == SOURCE
    assert first.rows.num_rows == 1
    for position in (3, 4, 9):
        again = fence.counted(adjustment("a"), position)
        assert (again.adjustment, again.rows.num_rows, again.source) == (None, 0, "")
    assert fence.counted(adjustment("b"), 10).rows.num_rows == 1


def test_an_adjustment_that_was_counted_before_the_start_does_not_count_again():
    fence = Fence({}, ["a"], since=7)
    assert fence.counted(adjustment("a"), 8).rows.num_rows == 0


def test_an_adjustment_moves_no_partition_on():
    fence = Fence({HERE: Mark(10, 3)}, since=3)
    fence.counted(adjustment("a"), 4)
    assert fence.marks == {HERE: Mark(10, 3)}
