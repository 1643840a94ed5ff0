"""What ledger and archive hold, event by event and round by round.

Everything here blocks, and raises ClickHouseError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from tests.chaos.accounting import Drift, Sums
from tests.chaos.events import Line

_BUCKETS = " + ".join(BUCKET_NAMES)
_ARCHIVED_BUCKETS = " + ".join(f"ifNull({name}, 0)" for name in BUCKET_NAMES)
# Every event has a workflow of its own; a void repeats the workflow of the event it takes back.
_LEDGER = f"""
    SELECT assumeNotNull(project) AS round,
           concat(if(kind = 'void', 'void:', ''), assumeNotNull(workflow)) AS event,
           sum(calls) AS c, sum({_BUCKETS}) AS t, sum(cost) AS m, min(minute) AS at
    FROM spend WHERE startsWith(assumeNotNull(project), {{round:String}}) GROUP BY round, event
"""
_ARCHIVE = f"""
    SELECT assumeNotNull(project) AS round, event_id AS event, if(kind = 'void', -1, 1) AS c,
           c * ({_ARCHIVED_BUCKETS}) AS t, cost_pico AS m, toStartOfMinute(occurred_at) AS at
    FROM usage_events FINAL WHERE startsWith(assumeNotNull(project), {{round:String}})
"""
_SUMS = (
    "SELECT round, count(), sum(c), sum(t), sum(m), countIf(abs(c) != 1) FROM ({}) GROUP BY round"
)


def ledger_events(clickhouse: ClickHouse, epoch: str) -> dict[str, Line]:
    """What the ledger holds of each event of a round."""
    return _events(clickhouse.query(_LEDGER, {"round": epoch}))


def archive_events(clickhouse: ClickHouse, epoch: str) -> dict[str, Line]:
    """What the archive holds of each event of a round."""
    return _events(clickhouse.query(_ARCHIVE, {"round": epoch}))


def ledger_sums(clickhouse: ClickHouse) -> dict[str, Sums]:
    """What the ledger holds of every round."""
    return _sums(clickhouse.query(_SUMS.format(_LEDGER), {"round": ""}))


def archive_sums(clickhouse: ClickHouse) -> dict[str, Sums]:
    """What the archive holds of every round."""
    return _sums(clickhouse.query(_SUMS.format(_ARCHIVE), {"round": ""}))


def drift(clickhouse: ClickHouse, guard: Mapping[str, Any]) -> Drift:
    """Archive and guard against the ledger, in total. ``guard``: its `/v1/state`."""
    ((calls, cost),) = clickhouse.query("SELECT sum(calls), sum(cost) FROM spend")
    ((archived, archived_cost),) = clickhouse.query(
        "SELECT sum(if(kind = 'void', -1, 1)), sum(cost_pico) FROM usage_events FINAL"
    )
    partitions = guard["partitions"]
    return Drift(
        int(archived) - int(calls),
        _pico(archived_cost) - _pico(cost),
        sum(int(part["calls"]) for part in partitions) - int(calls),
        sum(int(part["cost_pico_usd"]) for part in partitions) - _pico(cost),
    )


def daily_difference(clickhouse: ClickHouse, table: str) -> tuple[int, int]:
    """Calls and pico-dollars that daily sums have more than the rows they are made of."""
    ((calls, cost),) = clickhouse.query(
        f"SELECT (SELECT sum(calls) FROM {table}) - (SELECT sum(calls) FROM spend), "
        f"(SELECT sum(cost) FROM {table}) - (SELECT sum(cost) FROM spend)"
    )
    return int(calls or 0), _pico(cost)


def covered(clickhouse: ClickHouse) -> Mapping[str, int]:
    """What accepted ranges say became of the events; and how many ranges were ``dropped``."""
    names = ("duplicates", "conflicts", "refused", "lost")
    sums = ", ".join(f"sumIf({name}, accepted)" for name in names)
    ((*counts,),) = clickhouse.query(
        f"SELECT {sums}, countIf(NOT accepted AND partition >= 0) FROM ledger_progress"
    )
    return dict(zip((*names, "dropped"), map(int, counts), strict=True))


def _events(rows: Sequence[tuple[Any, ...]]) -> dict[str, Line]:
    return {
        str(event): Line(
            int(calls), int(tokens), None if cost is None else _pico(cost), _minute(at)
        )
        for _, event, calls, tokens, cost, at in rows
    }


def _sums(rows: Sequence[tuple[Any, ...]]) -> dict[str, Sums]:
    return {
        str(epoch): Sums(int(events), int(calls), int(tokens), _pico(cost), int(odd))
        for epoch, events, calls, tokens, cost, odd in rows
    }


def _pico(cost: Decimal | int | None) -> int:
    """Whole pico-dollars: of USD where it is a decimal."""
    return int(cost.scaleb(12)) if isinstance(cost, Decimal) else int(cost or 0)


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60
