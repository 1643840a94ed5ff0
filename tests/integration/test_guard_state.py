"""The guard's state, loaded from ClickHouse as of a position, equals what it counts by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from schemas.batch import events_frame
from schemas.journal import Counted, Range
from schemas.usage import UsageEvent
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.guard.budget_file import BudgetBook, TeamBudget
from streams.guard.budgets import Budgets
from streams.guard.concern import Accepted, AsOf, Concern
from streams.guard.state import Follower, compare, load_followers
from streams.guard.storms import StormRule, Storms
from streams.guard.totals import Totals
from streams.journal.fence import Fence
from streams.metering.rollup import rollup
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate
from streams.stores import clickhouse
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
    budget = TeamBudget(team="search", monthly_usd="1.00", thresholds=(50, 100))
    return (
        Totals(),
        Budgets(BudgetBook(timezone=zone, budgets=(budget,))),
        Storms(StormRule(min_calls=5, share_percent=30)),
    )


def transitions(concern: Concern, at: AsOf) -> set[str]:
    return {alert.transition_id for alert in concern.alerts(at, datetime.now(UTC))}


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
    for concern in live:
        concern.load(connection, AsOf(JOURNAL, -1))
        assert concern.counters() or isinstance(concern, Storms), "the earlier journal counts"
    announced: dict[str, set[str]] = {concern.name: set() for concern in live}
    for entry in entries():
        at = AsOf(JOURNAL, entry.position)
        for concern, loaded in zip(live, concerns(zone), strict=True):
            concern.apply(Accepted(at, SOURCE, (entry.covered,), pl.DataFrame(entry.rows)))
            loaded.load(connection, at)
            assert concern.counters() == loaded.counters(), (zone, entry.position, concern.name)
            opened = {t for t in transitions(concern, at) if t.endswith("opened")}
            announced[concern.name] |= opened
            fresh = {t for t in transitions(loaded, at) if t.endswith("opened")}
            if not isinstance(concern, Storms):
                assert fresh == announced[concern.name], (zone, entry.position, concern.name)


async def start_rule(connection: ClickHouse) -> None:
    stop = asyncio.Event()
    followers = await load_followers(lambda: concerns("UTC"), connection, JOURNAL, ENTRIES, stop)
    assert {follower.at.position for follower in followers} == {ENTRIES - 1}
    for follower in followers:
        drift = await compare(follower, connection)
        assert drift is not None
        assert drift.differing == {}
    await tampering_is_seen(connection, followers[0])


async def tampering_is_seen(connection: ClickHouse, follower: Follower) -> None:
    totals = follower.concern
    assert isinstance(totals, Totals)
    key = next(iter(totals.calls))
    totals.calls[key] += 1
    drift = await compare(follower, connection)
    assert drift is not None
    assert list(drift.differing) == [f"calls {key}"]
    ahead = Follower(totals, Fence(), AsOf(JOURNAL, ENTRIES + 5))
    assert await compare(ahead, connection) is None, "the ledger is not there yet"
