"""Late events: those that restate a month that was closed when they were appended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.metering.appender import late_events
from tests.support.ledger_rows import journal_row, journal_rows

FEBRUARY = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
CLOSED = datetime(2026, 3, 2, tzinfo=UTC)


def rows(*calls: tuple[datetime, int, int]):
    """Minute, partition, calls."""
    return journal_rows(
        *(journal_row(minute=minute, partition=p, calls=n) for minute, p, n in calls)
    )


@pytest.mark.parametrize(
    ("appended", "late"),
    [
        (datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC), 0),
        (datetime(2026, 3, 2, tzinfo=UTC), 5),
        (datetime(2026, 4, 1, 12, tzinfo=UTC), 5),
        (datetime(2026, 4, 2, tzinfo=UTC), 7),
    ],
)
def test_a_month_is_closed_a_day_after_its_end(appended, late):
    assert late_events(rows((FEBRUARY, 0, 5), (MARCH, 0, 2)), {0}, appended) == late


def test_only_what_was_accepted_counts():
    table = rows((FEBRUARY, 0, 5), (FEBRUARY, 1, 3), (FEBRUARY, 2, 1))
    assert late_events(table, {0, 2}, CLOSED) == 6
    assert late_events(table, set(), CLOSED) == 0


def test_a_void_restates_a_month_too():
    assert late_events(rows((FEBRUARY, 0, -2), (FEBRUARY, 0, 1)), {0}, CLOSED) == 3


def test_an_entry_without_rows_has_none():
    assert late_events(journal_rows(), {0}, CLOSED) == 0
