"""The guard's state, loaded from ClickHouse as of a position, equals what it counts by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from schemas.batch import events_frame
from schemas.journal import Counted, Range
from schemas.usage import UsageEvent
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.detectors.storm_rule import StormRule
from streams.detectors.storms import Storms
from streams.guard.clock import EventClock
from streams.guard.concern import Accepted, AsOf, Concern
from streams.guard.state import Follower, compare, load_follower
from streams.guard.totals import Totals
from streams.journal.fence import Fence
from streams.metering.rollup import rollup
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate
from streams.stores import clickhouse
from tests.support.ledger_rows import accepted_entry, covering, journal_row, journal_rows
from tests.support.stores import running_stores

pytestmark = pytest.mark.slow

JOURNAL, SOURCE = "this/llm.spend", "this/llm.usage"
BOOK = PriceBook.load(None)
ENTRIES = 12


@dataclass(frozen=True)
class Written:
    """One journal entry as the ledger has it."""

    position: int
    covered: Range
    rows: pa.Table


def entries() -> Iterator[Written]:
    """Around the turn of a month and of daylight saving, in New York and elsewhere."""
    rng = random.Random(4)
    start = datetime(2026, 10, 31, 20, tzinfo=UTC)
    for position in range(ENTRIES):
        events = [
            UsageEvent(
                event_id=f"{position}-{number}",
                occurred_at=start + timedelta(minutes=rng.randrange(60 * 40)),
                provider="openai",
                model=rng.choice(["gpt-4o", "gpt-4o-mini", "no-such-model"]),
                team=rng.choice(["search", "support"]),
                application=rng.choice([None, "chat", "agent"]),
                status=rng.choice(["ok", "ok", "rate_limited", None]),
                attempt=rng.choice([None, 1, 2]),
                usage_source="reported",
                input_tokens=rng.randrange(10_000),
                output_tokens=rng.randrange(1000),
            )
            for number in range(200)
        ]
        frame = rate(events_frame(events), BOOK).with_columns(
            pl.lit(0, dtype=pl.Int32).alias("partition")
        )
        covered = Range(
            source=SOURCE,
            partition=0,
            start=position * 200,
            through=position * 200 + 199,
            events=200,
            lost=3 if position == 5 else 0,
        )
        yield Written(position, covered, rollup(frame))


def concerns(zone: str) -> Sequence[Concern]:
    book = BudgetBook.model_validate(
        {
            "timezone": zone,
            "exchange_rates": {"HKD": {"2026-01-01": "7.8", "2026-11-01": "7.9"}},
            "budgets": [
                {"name": "search", "where": {"team": "search"}, "limit": "1", "unit": "USD"},
                {"name": "each", "each": ["team", "application"], "limit": "2", "unit": "HKD"},
                {"name": "days", "limit": "90", "unit": "calls", "period": "day"},
                {"name": "rolling", "each": "model", "limit": "9", "period": {"rolling": "12h"}},
                {"name": "nobody", "where": {"team": ["x", "y"]}, "limit": "9", "unit": "tokens"},
            ],
        }
    )
    return (Totals(), Budgets(book), Storms(StormRule(min_calls=5, share_percent=30)))


async def test_a_load_as_of_a_position_equals_the_entries_up_to_it(tmp_path: Path) -> None:
    async with running_stores(tmp_path) as settings:
        connection = clickhouse(settings)
        try:
            await asyncio.to_thread(write_all, connection)
            for zone in ("UTC", "America/New_York", "Asia/Hong_Kong"):
                await asyncio.to_thread(compare_at_every_position, connection, zone)
            await start_rule(connection)
        finally:
            connection.close()


def write_all(connection: ClickHouse) -> None:
    ledger = Ledger(connection, JOURNAL)
    other = Ledger(connection, "earlier/llm.spend")
    for entry in entries():
        at = datetime.now(UTC)
        counted = Counted((entry.covered,), None, entry.rows)
        ledger.write(entry.position, [entry.covered], counted, at)
    first = next(entries())
    # What an earlier journal holds counts in full, whatever its positions are.
    earlier = first.covered.model_copy(update={"source": "earlier/llm.usage"})
    other.write(1000, [earlier], Counted((earlier,), None, first.rows), datetime.now(UTC))


def compare_at_every_position(connection: ClickHouse, zone: str) -> None:
    live = concerns(zone)
    clock = EventClock(datetime(2026, 10, 31, 20, tzinfo=UTC))
    for concern in live:
        concern.load(connection, AsOf(JOURNAL, -1), clock.now())
        assert concern.counters() or isinstance(concern, Storms), "the earlier journal counts"
    for entry in entries():
        at, rows = AsOf(JOURNAL, entry.position), pl.DataFrame(entry.rows)
        now = clock.see(rows)
        for concern in live:
            concern.apply(Accepted(at, SOURCE, (entry.covered,), rows, now))
            loaded = concern.fresh()
            loaded.load(connection, at, now)
            assert concern.counters() == loaded.counters(), (zone, entry.position, concern.name)
            if not isinstance(concern, Storms):
                said = {(a.alert_id, a.transition) for a in loaded.alerts(at, now)}
                assert {(a.alert_id, a.transition) for a in concern.alerts(at, now)} <= said


async def start_rule(connection: ClickHouse) -> None:
    stop = asyncio.Event()
    follower = await load_follower(lambda: concerns("UTC"), connection, JOURNAL, ENTRIES, stop)
    assert follower.at.position == ENTRIES - 1
    for concern in follower.concerns:
        drift = await compare(concern, follower, connection)
        assert drift is not None
        assert drift.differing == {}
    await tampering_is_seen(connection, follower)


async def tampering_is_seen(connection: ClickHouse, follower: Follower) -> None:
    totals = follower.concerns[0]
    assert isinstance(totals, Totals)
    key = next(iter(totals.calls))
    totals.calls[key] += 1
    drift = await compare(totals, follower, connection)
    assert drift is not None
    assert list(drift.differing) == [f"calls {key}"]
    ahead = Follower([totals], Fence(), AsOf(JOURNAL, ENTRIES + 5), follower.clock)
    assert await compare(totals, ahead, connection) is None, "the ledger is not there yet"


def test_what_comes_late_for_a_period_of_long_ago_is_counted_in_it(clickhouse: ClickHouse) -> None:
    """Such a period is not loaded at a start, until somebody has spent something in it."""
    ledger = Ledger(clickhouse, JOURNAL)
    january = datetime(2026, 1, 10, tzinfo=UTC)
    old = journal_rows(journal_row(minute=january, cost=Decimal("0.7")))
    covered = covering(0, 9)
    ledger.write(0, [covered], Counted((covered,), None, old), january)
    book = BudgetBook.model_validate({"budgets": [{"name": "all", "limit": "1"}]})
    now, at = datetime(2026, 10, 31, tzinfo=UTC), AsOf(JOURNAL, 0)
    budgets = Budgets(book)
    budgets.load(clickhouse, at, now)
    assert list(budgets.alerts(at, now)) == []
    late = accepted_entry(1, journal_row(minute=january, cost=Decimal("0.3")), now=now)
    budgets.apply(late)
    assert list(budgets.alerts(late.at, now)) == []
    assert budgets.wants_older
    covered = covering(10, 19)
    ledger.write(1, [covered], Counted((covered,), None, late.rows.to_arrow()), january)
    again = Budgets(book, budgets.older)
    again.load(clickhouse, late.at, now)
    assert not again.wants_older
    assert [alert.value for alert in again.alerts(late.at, now)] == [Decimal(1)] * 3
