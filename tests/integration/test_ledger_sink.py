"""The ledger in ClickHouse: an entry counts once however often it is written."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.journal import Counted, SourcePartition
from sinks.clickhouse import ClickHouseRefused
from sinks.ledger import Ledger
from tests.support.ledger_rows import JOURNAL, NOON, SOURCE, covering, journal_row, journal_rows

pytestmark = pytest.mark.slow

SUMS = "SELECT sum(calls), sum(input_tokens), sum(cost) FROM {}"


@pytest.fixture
def ledger(clickhouse):
    return Ledger(clickhouse, JOURNAL)


def test_an_empty_ledger_has_no_position(ledger):
    assert (ledger.progress().position, ledger.progress().marks) == (-1, {})


def test_an_entry_that_is_written_twice_counts_once_in_every_table(ledger, clickhouse):
    ranges = (covering(0, 4),)
    rows = journal_rows(
        journal_row(input_tokens=7, calls=2), journal_row(team="support", cost=Decimal("0.5"))
    )
    for _ in range(3):
        ledger.write(0, ranges, Counted(ranges, None, rows), NOON)
    expected = [(3, 7, Decimal("1.5"))]
    assert clickhouse.query(SUMS.format("spend")) == expected
    assert clickhouse.query(SUMS.format("spend_daily")) == expected
    assert clickhouse.query("SELECT count() FROM ledger_progress") == [(1,)]


def test_equal_rows_of_two_entries_both_count(ledger, clickhouse):
    rows = journal_rows(journal_row())
    for position, ranges in enumerate([(covering(0, 0),), (covering(1, 1),)]):
        ledger.write(position, ranges, Counted(ranges, None, rows), NOON)
    assert clickhouse.query(SUMS.format("spend")) == [(2, 0, Decimal(2))]
    assert clickhouse.query(SUMS.format("spend_daily")) == [(2, 0, Decimal(2))]


def test_an_entry_that_was_written_half_is_completed_by_the_next_try(ledger, clickhouse):
    ranges, rows = (covering(0, 4),), journal_rows(journal_row())
    clickhouse.command("RENAME TABLE ledger_progress TO elsewhere")
    with pytest.raises(ClickHouseRefused, match="ledger_progress"):
        ledger.write(0, ranges, Counted(ranges, None, rows), NOON)
    clickhouse.command("RENAME TABLE elsewhere TO ledger_progress")
    assert clickhouse.query("SELECT count() FROM spend") == [(1,)]
    assert ledger.progress().position == -1

    ledger.write(0, ranges, Counted(ranges, None, rows), NOON)
    assert ledger.progress().position == 0
    for table in ("spend", "spend_daily"):
        assert clickhouse.query(SUMS.format(table)) == [(1, 0, Decimal(1))]


def test_progress_is_the_highest_entry_and_the_end_of_each_accepted_range(ledger):
    first = (covering(0, 4), covering(10, 19, partition=1))
    late = (covering(0, 9), covering(20, 24, partition=1))
    ledger.write(0, first, Counted(first, None, journal_rows()), NOON)
    ledger.write(1, late, Counted(late[1:], None, journal_rows()), NOON)
    progress = ledger.progress()
    assert progress.position == 1
    assert progress.marks == {
        SourcePartition(SOURCE, 0): (5, 0),
        SourcePartition(SOURCE, 1): (25, 1),
    }


def test_a_refused_range_is_on_record_and_shows_in_no_figure(ledger, clickhouse):
    ranges = (covering(7, 9, events=3, refused=1),)
    ledger.write(0, ranges, Counted((), None, journal_rows()), NOON)
    assert clickhouse.query("SELECT start, through, accepted FROM ledger_progress") == [
        (7, 9, False)
    ]
    assert clickhouse.query("SELECT count() FROM metering") == [(0,)]
    assert ledger.progress().marks == {}


def test_journals_do_not_see_each_other(ledger, clickhouse):
    ranges = (covering(0, 4),)
    ledger.write(0, ranges, Counted(ranges, None, journal_rows(journal_row())), NOON)
    other = Ledger(clickhouse, "another/llm.spend")
    assert other.progress().position == -1
    other.write(0, ranges, Counted(ranges, None, journal_rows(journal_row())), NOON)
    assert clickhouse.query(SUMS.format("spend")) == [(2, 0, Decimal(2))]


def test_a_cost_that_is_not_known_stays_unknown(ledger, clickhouse):
    ranges = (covering(0, 4),)
    ledger.write(
        0,
        ranges,
        Counted(ranges, None, journal_rows(journal_row(cost=None, rating="unpriced"))),
        NOON,
    )
    assert clickhouse.query("SELECT cost FROM spend") == [(None,)]
    assert clickhouse.query("SELECT cost, unpriced_calls FROM spend_by_team") == [(None, 1)]


def test_the_largest_sum_and_the_smallest_fraction_are_exact(ledger, clickhouse):
    huge, tiny = Decimal("99999999999999.999999999999"), Decimal("0.000000000001")
    ranges = (covering(0, 4),)
    rows = journal_rows(journal_row(cost=huge), journal_row(cost=tiny))
    ledger.write(0, ranges, Counted(ranges, None, rows), NOON)
    assert clickhouse.query("SELECT sum(cost) FROM spend") == [(Decimal(10) ** 14,)]
