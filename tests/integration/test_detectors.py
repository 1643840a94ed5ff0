"""Detectors that are loaded from ClickHouse equal those that followed the journal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from schemas.journal import Counted
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.detectors.concerns import detectors_of
from streams.detectors.series import newest_minute
from streams.detectors.settings_file import Detectors
from streams.guard.concern import Accepted, AsOf
from tests.support.ledger_rows import JOURNAL, NOON, SOURCE, covering, journal_row, journal_rows

pytestmark = pytest.mark.slow

ENTRIES = 7
DETECTORS = Detectors.model_validate(
    {
        "runaway": {"calls": 60, "cost": 30, "within": "30m"},
        "context_bloat": {"min_calls": 5, "min_tokens": 100, "factor": "1.1"},
        "anomaly": {"weeks": 2, "min_weeks": 1, "min_excess": 1, "factor": "1.1"},
        "unattributed": {"dimensions": ["application", "customer"], "min_cost": 1},
        "tiers": {"frontier": ["*/large"], "balanced": ["*/unit"]},
        "access": {"rules": [{"team": "search", "tiers": ["balanced"]}]},
    }
)
"""So sharp that each of them finds something."""


def entries() -> Iterator[pa.Table]:
    """Three weeks of the past, then some hours that come late and out of order."""
    rng = random.Random(6)

    def rows(count: int, since: datetime, minutes: int) -> pa.Table:
        return journal_rows(
            *(
                journal_row(
                    minute=since + timedelta(minutes=rng.randrange(minutes)),
                    partition=rng.randrange(3),
                    team=rng.choice(["search", "support"]),
                    application=rng.choice([None, "desk", "agent"]),
                    use_case=rng.choice([None, "answering"]),
                    workflow=rng.choice([None, "one", "two"]),
                    user=rng.choice([None, "ana", "eve"]),
                    customer=rng.choice([None, "", "acme"]),
                    model=rng.choice(["unit", "large"]),
                    is_shadow=rng.random() < 0.1,
                    kind="void" if (sign := rng.choice([1, 1, 1, 1, -1])) < 0 else "usage",
                    calls=sign * rng.randrange(1, 8),
                    input_tokens=sign * rng.randrange(9000),
                    cache_read_tokens=sign * rng.randrange(900),
                    output_tokens=sign * rng.randrange(900),
                    cost=rng.choice([None, sign * Decimal(rng.randrange(10**13)).scaleb(-12)]),
                )
                for _ in range(count)
            )
        )

    yield rows(900, NOON - timedelta(days=21), 21 * 24 * 60)
    for position in range(1, ENTRIES):
        yield rows(120, NOON + timedelta(minutes=25 * position - 40), 60)


def write(clickhouse: ClickHouse, journal: str, position: int, rows: pa.Table) -> None:
    covered = covering(position, position)
    covered = covered.model_copy(update={"source": SOURCE if journal == JOURNAL else journal})
    partitions = [covered.model_copy(update={"partition": number}) for number in range(3)]
    counted = Counted(tuple(partitions), None, rows)
    Ledger(clickhouse, journal).write(position, partitions, counted, datetime.now(UTC))


def test_a_load_as_of_a_position_equals_the_entries_up_to_it(clickhouse: ClickHouse) -> None:
    tables = list(entries())
    for position, rows in enumerate(tables):
        write(clickhouse, JOURNAL, position, rows)
    # What an earlier journal holds counts in full, whatever its positions are.
    write(clickhouse, "earlier/llm.spend", 1000, tables[0])
    live = detectors_of(DETECTORS)
    for detector in live:
        detector.load(clickhouse, AsOf(JOURNAL, -1), NOON)
        assert detector.counters()
    found: dict[str, set[str]] = {detector.name: set() for detector in live}
    for position, rows in enumerate(tables):
        at, frame = AsOf(JOURNAL, position), pl.DataFrame(rows)
        now = newest_minute(clickhouse, at, NOON + timedelta(hours=6))
        assert now is not None
        for detector in live:
            detector.apply(Accepted(at, SOURCE, (covering(position, position),), frame, now))
            alerts = list(detector.alerts(at, now))
            loaded = detector.fresh()
            loaded.load(clickhouse, at, now)
            assert loaded.counters() == detector.counters(), (detector.name, position)
            again = {alert.alert_id: alert for alert in loaded.alerts(at, now)}
            for alert in alerts:
                if alert.transition == "opened" and alert.number == 1:
                    found[alert.rule].add(alert.alert_id)
            # What goes on has the same name and the same figures after a restart.
            for alert in {a.alert_id: a for a in alerts}.values():
                if alert.transition == "opened" and alert.at == now:
                    assert again[alert.alert_id].title == alert.title, (position, alert)
    assert all(found.values()), found


def test_an_empty_ledger_is_loaded_too(clickhouse: ClickHouse) -> None:
    at = AsOf(JOURNAL, -1)
    assert newest_minute(clickhouse, at, NOON) is None
    for detector in detectors_of(DETECTORS):
        detector.load(clickhouse, at, NOON)
        assert detector.counters() == {}
        assert list(detector.alerts(at, NOON)) == []


def test_the_newest_minute_is_found_however_old_it_is(clickhouse: ClickHouse) -> None:
    write(clickhouse, JOURNAL, 0, journal_rows(journal_row()))
    write(clickhouse, JOURNAL, 1, journal_rows(journal_row(minute=NOON + timedelta(hours=1))))
    for later in (timedelta(hours=1), timedelta(days=3), timedelta(days=300)):
        assert newest_minute(clickhouse, AsOf(JOURNAL, 0), NOON + later) == NOON
