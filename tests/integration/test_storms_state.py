"""Storms loaded from ClickHouse as of a position equal those that followed the journal there."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from schemas.alerts import Alert
from sinks.clickhouse import ClickHouse
from streams.detectors.storm_rule import KEEP_MINUTES
from streams.detectors.storms import Storms
from streams.guard.concern import Accepted, AsOf
from tests.support.ledger_rows import JOURNAL, accepted_entry, journal_row, journal_rows
from tests.support.storm_watch import RULE, Watch, minute

pytestmark = pytest.mark.slow

MINUTES = 40
OUTAGE, STORM = range(5, 9), range(20, 26)


def rows_of(at: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """A minute of four teams: most calls work; one provider fails for a while, one bot later on."""
    for team, provider in itertools.product(("a", "b", "c", "d"), ("one", "two")):
        worked, outcome = rng.randrange(10, 30), {"status": rng.choice(["timeout", "cancelled"])}
        failed = rng.randrange(3)
        if provider == "one" and at in OUTAGE:
            worked, failed, outcome = 0, worked, {"status": "error", "error_code": "503"}
        elif provider == "two" and team == "d" and at in STORM:
            worked, failed, outcome = 1, 5 * worked, {"status": "rate_limited"}
        for calls, ended in ((worked, {"status": "ok"}), (failed, outcome)):
            yield journal_row(
                minute=minute(at),
                team=team,
                application=None if team == "a" else f"{team}-bot",
                provider=provider,
                calls=calls,
                is_retry=calls < 3,
                is_shadow=rng.randrange(20) == 0,
                input_tokens=rng.randrange(10_000),
                output_tokens=rng.randrange(1000),
                cost=rng.choice([None, Decimal("0.000000000001"), Decimal("1.5")]),
                **ended,
            )


@pytest.fixture
def followed(clickhouse: ClickHouse) -> list[Accepted]:
    """The entries, all of which the ledger has; and an older one that an earlier journal holds.

    An entry comes when its minute is over: then a load knows as well as those who follow when
    evidence came.
    """
    rng = random.Random(4)
    older = journal_row(minute=minute(0), team="a", status="error", calls=2)
    forgotten = journal_row(minute=minute(-KEEP_MINUTES), status="error", calls=500)
    minutes = [list(rows_of(at, rng)) for at in range(MINUTES)]
    write(clickhouse, "earlier/llm.spend", [(1000, [older, forgotten])])
    write(clickhouse, JOURNAL, list(enumerate(minutes)))
    return [
        accepted_entry(at, *rows, *([older] if at == 0 else []), now=minute(at + 1))
        for at, rows in enumerate(minutes)
    ]


def write(
    clickhouse: ClickHouse, journal: str, entries: list[tuple[int, list[dict[str, Any]]]]
) -> None:
    """What the ledger sink writes of these entries, all of it at once."""
    rows = journal_rows(*(row for _, added in entries for row in added))
    positions = [position for position, added in entries for _ in added]
    table = rows.append_column("journal", pa.array([journal] * len(positions)))
    clickhouse.insert("spend", table.append_column("position", pa.array(positions, pa.int64())))


def ends(alerts: list[Alert]) -> dict[str, tuple[Any, ...]]:
    """How each alert stands in the end, as its newest transition tells."""
    return {
        alert.alert_id: (alert.transition == "resolved", alert.level, alert.value, alert.detail)
        for alert in alerts
    }


def test_a_load_as_of_a_position_equals_the_entries_up_to_it(clickhouse, followed):
    watch = Watch()
    watch.storms.load(clickhouse, AsOf(JOURNAL, -1), datetime.fromtimestamp(0, UTC))
    assert watch.tick(minute(0)) == []
    for entry in followed:
        watch.take(entry)
        if entry.at.position % 5 and entry is not followed[-1]:
            continue
        loaded = Storms(RULE)
        loaded.load(clickhouse, entry.at, entry.now)
        assert loaded._slots == watch.storms._slots
        assert loaded._outages._minutes == watch.storms._outages._minutes
        assert loaded.counters() == watch.storms.counters() == {}
        # Nobody has heard of any alert: all of them are told, each as it stands.
        told = Watch()
        told.storms = loaded
        told._position = entry.at.position
        told.tick(entry.now)
        watch.tick(entry.now)
        assert ends(told.published) == ends(watch.published)
    rules = sorted({(alert.rule, alert.scope.get("team")) for alert in watch.published})
    assert rules == [("provider_outage", None), ("retry_storm", "d")]


def test_a_guard_that_is_killed_anywhere_makes_the_same_histories(clickhouse, followed):
    undisturbed = Watch()
    for entry in followed:
        undisturbed.take(entry)
    published: list[Alert] = []
    for killed_after in range(MINUTES):
        guard = Watch(RULE, published)
        before = AsOf(JOURNAL, killed_after - 1)
        now = minute(killed_after)
        guard.storms.load(clickhouse, before, now)
        guard._position = killed_after - 1
        guard.tick(now)
        guard.take(followed[killed_after])
        published = guard.published
    history = [(a.alert_id, a.transition, a.number) for a in undisturbed.published]
    assert [(a.alert_id, a.transition, a.number) for a in published] == history
