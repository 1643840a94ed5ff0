"""Past usage, read from ClickHouse in order of event time, a few hours at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from schemas.journal import DIMENSIONS, ROW_SCHEMA
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.detectors.repeats import Repeats, repeats
from streams.detectors.storm_rule import StormRule
from streams.detectors.storms import Storms

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CHUNK_ROWS = 5_000
"""Rows of the ledger that are read at a time, though never less than an hour of them."""

_RANGE = "minute >= toDateTime({first:Int64}, 'UTC') AND minute < toDateTime({end:Int64}, 'UTC')"
# Qualified and quoted: `user` is a function of ClickHouse too.
_BY = ", ".join(f"spend.`{name}`" for name in DIMENSIONS)
_SUMS = ", ".join(f"sum({name})" for name in ("calls", *BUCKET_NAMES, "cost", "provider_cost"))
_SQL = f"""
SELECT 0, toUnixTimestamp(spend.minute), {_BY}, {_SUMS}
FROM spend WHERE {_RANGE} GROUP BY spend.minute, {_BY} ORDER BY spend.minute
"""
# A call is in every window that its minute is in. What an archive has written twice is told apart
# where the windows that are found here are looked at.
_REPEATING_SQL = f"""
SELECT DISTINCT ending FROM
(
    SELECT ending, team, application, count() AS sent
    FROM
    (
        SELECT intDiv(toUnixTimestamp(minute), 60) + arrayJoin(range({{window:UInt32}})) AS ending,
               team, application, cityHash64(prompt_hash) AS prompt
        FROM prompts WHERE {_RANGE}
    )
    GROUP BY ending, team, application, prompt
)
GROUP BY ending, team, application
HAVING sum(sent) - count() >= {{least:UInt64}} AND max(sent) * 100 >= sum(sent) * {{share:UInt64}}
"""


@dataclass(frozen=True, slots=True)
class Past:
    """The usage of [first, end), UTC."""

    clickhouse: ClickHouse
    first: datetime
    end: datetime

    def hours(self) -> list[tuple[datetime, int]]:
        """Each hour (UTC) with usage, and how many rows of the ledger it has, oldest first."""
        rows = self.clickhouse.query(
            f"SELECT toUnixTimestamp(toStartOfHour(minute, 'UTC')) AS hour, count() FROM spend "
            f"WHERE {_RANGE} GROUP BY hour ORDER BY hour",
            _range(self.first, self.end),
        )
        return [(datetime.fromtimestamp(int(hour), UTC), int(count)) for hour, count in rows]

    def chunks(self) -> Iterator[Past]:
        """The same in parts that fit in memory, oldest first; what has no usage is left out."""
        first, end, size = self.first, self.first, 0
        for hour, count in self.hours():
            until = min(hour + HOUR, self.end)
            if size and (size + count > CHUNK_ROWS or until - first > DAY):
                yield Past(self.clickhouse, first, end)
                size = 0
            if not size:
                first = max(hour, self.first)
            end, size = until, size + count
        if size:
            yield Past(self.clickhouse, first, end)

    def rows(self) -> pl.DataFrame:
        """Rows (`ROW_SCHEMA`) by minute, corrections included. What has the same minute and
        attribution is one row, of no partition in particular."""
        rows = self.clickhouse.query(_SQL, _range(self.first, self.end))
        columns = pl.DataFrame(ROW_SCHEMA.empty_table()).schema
        frame = pl.DataFrame(rows, schema={**columns, "minute": pl.Int64}, orient="row")
        minute = pl.from_epoch("minute").dt.replace_time_zone("UTC").cast(columns["minute"])
        return frame.with_columns(minute)

    def repeats(self, storms: Storms, rule: StormRule) -> dict[datetime, Sequence[Repeats]]:
        """Who repeated prompts enough to be looked at, by the minute (UTC) of asking."""
        found = self.clickhouse.query(
            _REPEATING_SQL,
            _range(self.first - (rule.window_minutes - 1) * MINUTE, self.end)
            | {
                "window": rule.window_minutes,
                "least": rule.min_calls,
                "share": rule.share_percent,
            },
        )
        minutes = sorted(datetime.fromtimestamp(int(minute) * 60, UTC) for (minute,) in found)
        return {
            minute: repeats(self.clickhouse, *storms.watched(minute), rule)
            for minute in minutes
            if self.first <= minute < self.end
        }


def prompts_since(clickhouse: ClickHouse) -> datetime | None:
    """From when on prompts are known, UTC: they are kept for 40 days. None where none are."""
    ((count, oldest),) = clickhouse.query(
        "SELECT count(), toUnixTimestamp(min(minute)) FROM prompts"
    )
    return datetime.fromtimestamp(int(oldest), UTC) if count else None


def ledger_bounds(clickhouse: ClickHouse) -> tuple[datetime, datetime] | None:
    """The oldest and the newest minute of the ledger, UTC; None where it is empty."""
    ((count, oldest, newest),) = clickhouse.query(
        "SELECT count(), toUnixTimestamp(min(minute)), toUnixTimestamp(max(minute)) FROM spend"
    )
    if not count:
        return None
    return datetime.fromtimestamp(int(oldest), UTC), datetime.fromtimestamp(int(newest), UTC)


def _range(first: datetime, end: datetime) -> dict[str, object]:
    return {"first": int(first.timestamp()), "end": int(end.timestamp())}
