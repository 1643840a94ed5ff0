from __future__ import annotations

import pytest

from schemas.journal import SourcePartition
from sinks.clickhouse import ClickHouseError, ClickHouseUnavailable
from sinks.ledger import LedgerProgress
from streams.journal.fence import Mark
from streams.kafka import Committed, read_committed
from streams.metering.position import Known, from_commits, from_ledger, known_positions

JOURNAL = "cluster/llm.spend"
HERE = SourcePartition("cluster/llm.usage", 0)
THERE = SourcePartition("cluster/llm.usage", 1)
ELSEWHERE = SourcePartition("cluster/llm.usage", 2)
LEDGER = LedgerProgress(9, {HERE: (100, 9), ELSEWHERE: (300, 4)})


def test_commits_that_name_entries_of_this_journal_are_marks_since_the_oldest():
    commits = {HERE: Committed(100, JOURNAL, 7), THERE: Committed(50, JOURNAL, 4)}
    assert from_commits(commits, JOURNAL) == Known({HERE: Mark(100, 7), THERE: Mark(50, 4)}, 4)


@pytest.mark.parametrize(
    "other",
    [
        None,
        Committed(50),
        Committed(50, JOURNAL, None),
        Committed(50, None, 4),
        Committed(50, "reborn/llm.spend", 4),
    ],
    ids=["never committed", "no metadata", "no position", "no journal", "another journal"],
)
def test_one_commit_that_tells_nothing_of_this_journal_makes_all_of_them_unusable(other):
    assert from_commits({HERE: Committed(100, JOURNAL, 7), THERE: other}, JOURNAL) is None


def test_no_partitions_have_no_commits_to_start_from():
    assert from_commits({}, JOURNAL) is None


def test_the_entry_at_position_zero_is_an_entry():
    known = from_commits({HERE: Committed(100, JOURNAL, 0)}, JOURNAL)
    assert known == Known({HERE: Mark(100, 0)}, 0)


def test_the_ledger_is_complete_up_to_its_highest_position_for_every_partition():
    known = from_ledger(LEDGER, [HERE, THERE, ELSEWHERE])
    assert known == Known({HERE: Mark(100, 9), ELSEWHERE: Mark(300, 9)}, 9)


def test_of_the_ledger_only_the_wanted_partitions_are_taken():
    assert from_ledger(LEDGER, [THERE]) == Known({}, 9)


def test_an_empty_ledger_is_a_fresh_start():
    assert from_ledger(LedgerProgress(-1, {}), [HERE]) == Known({}, -1)


def test_a_mark_that_the_ledger_wrote_between_its_two_answers_keeps_its_own_position():
    torn = LedgerProgress(5, {HERE: (100, 7), THERE: (50, 2)})
    assert from_ledger(torn, [HERE, THERE]) == Known({HERE: Mark(100, 7), THERE: Mark(50, 5)}, 5)


async def test_usable_commits_do_without_clickhouse():
    def read_ledger() -> LedgerProgress:
        raise ClickHouseUnavailable("gone")

    known = await known_positions({HERE: Committed(100, JOURNAL, 7)}, JOURNAL, read_ledger)
    assert known == Known({HERE: Mark(100, 7)}, 7)


async def test_of_commit_and_ledger_the_one_that_is_further_counts_for_each_partition():
    ledger = LedgerProgress(9, {HERE: (100, 9), THERE: (40, 3)})
    commits = {HERE: Committed(150, JOURNAL, 12), THERE: Committed(20, JOURNAL, 1)}
    known = await known_positions(commits, JOURNAL, lambda: ledger)
    assert known == Known({HERE: Mark(150, 12), THERE: Mark(40, 9)}, 9)


async def test_without_usable_commits_the_ledger_is_asked():
    commits = {HERE: Committed(100, JOURNAL, 7), THERE: None}
    known = await known_positions(commits, JOURNAL, lambda: LEDGER)
    assert known == Known({HERE: Mark(100, 9)}, 9)


async def test_without_the_ledger_the_journal_is_read_from_its_beginning(caplog):
    def read_ledger() -> LedgerProgress:
        raise ClickHouseError("no route to the host")

    assert await known_positions({HERE: None}, JOURNAL, read_ledger) == Known({}, -1)
    assert "no route to the host" in caplog.text


async def test_an_error_that_is_not_clickhouses_is_not_taken_for_its_absence():
    def read_ledger() -> LedgerProgress:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await known_positions({HERE: None}, JOURNAL, read_ledger)


@pytest.mark.parametrize(
    "commit",
    [Committed(0, JOURNAL, 0), Committed(2**62, JOURNAL, 2**62), Committed(5, 'a"\\é/x', 1)],
)
def test_the_metadata_of_a_commit_reads_back_as_it_was(commit):
    assert read_committed(commit.offset, commit.metadata()) == commit


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "",
        "null",
        "not json",
        "17",
        "[]",
        "{}",
        '{"journal": "j"}',
        '{"journal": "j", "position": "7"}',
        '{"journal": "j", "position": 7.5}',
        Committed(5).metadata(),
    ],
)
def test_metadata_that_names_no_entry_leaves_only_the_offset(metadata):
    assert read_committed(5, metadata) == Committed(5)


def test_a_negative_offset_is_no_commit():
    assert read_committed(-1, Committed(5, JOURNAL, 7).metadata()) is None


def test_metadata_without_a_journal_names_none_of_ours():
    commit = read_committed(5, '{"position": 7}')
    assert commit == Committed(5, None, 7)
    assert from_commits({HERE: commit}, JOURNAL) is None
