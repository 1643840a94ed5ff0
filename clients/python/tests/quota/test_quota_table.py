"""What a gateway's process keeps of the quotas, and until when it counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from spendstream.quota._records import Stamp, read_stamp
from spendstream.quota._table import QuotaTable

NOW = datetime(2026, 3, 10, 13, tzinfo=UTC)
ANN = 'member:users:{"user":"ann"}'


def as_of(position: int = 7, seconds: float = 0, journal: str = "cluster/llm.spend") -> dict:
    at = (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    return {"journal": journal, "position": position, "at": at}


def stamped(*values: Any) -> Stamp:
    return read_stamp(as_of(*values))


def ann(used: str | None = "40", stamp: Mapping[str, Any] | None = None, **changes: Any) -> dict:
    return {
        "record": "member",
        "budget": "users",
        "member": {"user": "ann"},
        "used": used,
        "limit": "100",
        "unit": "USD",
        "period_start": "2026-03-01T00:00:00Z",
        "period_end": "2026-04-01T00:00:00Z",
        "allowed": True,
        "degrade_to": None,
        "since": "2026-03-01T00:00:00Z",
        "reason": "Why.",
        "valid_until": "2026-04-01T00:00:00Z",
        "as_of": stamp or as_of(),
        "a_newer_field": 1,
        **changes,
    }


def users(**changes: Any) -> dict:
    return {
        "record": "budget",
        "budget": "users",
        "each": ["user"],
        "where": {},
        "limit": "100",
        "unit": "USD",
        "exceptions": [],
        "actions": [],
        "period": "month",
        "period_start": None,
        "period_end": None,
        "window_seconds": None,
        "as_of": as_of(),
        **changes,
    }


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(clock: Clock) -> QuotaTable:
    return QuotaTable(lambda: NOW, clock)


@pytest.mark.parametrize(
    ("other", "newer"),
    [
        (as_of(6, 100), False),
        (as_of(7, -1), False),
        (as_of(7), True),
        (as_of(7, 1), True),
        (as_of(8, -100), True),
        (as_of(1, -100, "other/llm.spend"), True),
    ],
)
def test_only_a_record_of_a_later_entry_or_time_replaces_one(table, other, newer):
    table.read(ANN, ann("10"))
    table.read(ANN, ann("20", other))
    assert str(table.members[ANN].remaining) == ("80" if newer else "90")


def test_a_removal_takes_away_what_is_older_and_stays_in_mind(table):
    table.read(ANN, ann())
    table.read(ANN, None, stamped(6))
    assert ANN in table.members
    table.read(ANN, None, stamped(9))
    assert not table.members
    table.read(ANN, ann(stamp=as_of(8)))
    assert not table.members
    table.read(ANN, ann(stamp=as_of(10)))
    assert ANN in table.members


def test_a_removal_by_hand_is_believed(table):
    table.read(ANN, ann())
    table.read(ANN, None)
    assert not table.members
    table.read(ANN, ann())
    assert ANN in table.members


def test_a_budget_is_replaced_and_removed(table):
    for limit in ("100", "200"):
        table.read("budget:users", users(limit=limit))
        assert [str(one.limit.amount) for one in table.definitions] == [limit]
    table.read("budget:other", users(budget="other"))
    table.read("budget:users", None, stamped(8))
    assert [one.budget for one in table.definitions] == ["other"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (ANN, {}),
        (ANN, []),
        (ANN, "text"),
        (ANN, {"record": "of the future", "as_of": as_of()}),
        (ANN, ann(limit="0")),
        (ANN, ann(limit="NaN")),
        (ANN, ann(used="much")),
        (ANN, ann(valid_until="2026-04-01T00:00:00")),
        (ANN, ann(member=[])),
        ('member:users:{"user":"bob"}', ann()),
        ("budget:users", users(where=[])),
        ("budget:users", users(each=None)),
        ("budget:other", users()),
    ],
)
def test_what_is_no_record_is_passed_over(table, key, value):
    table.read(key, value)
    assert (table.definitions, table.members, table.heard) == ((), {}, None)


def beat(table: QuotaTable, position: int, seconds: float) -> None:
    table.read("heartbeat", {"record": "heartbeat", "as_of": as_of(position, seconds)})


def test_what_was_there_before_is_as_old_as_it_says(table):
    beat(table, 7, -40)
    assert table.heard == 960
    beat(table, 7, -20)
    beat(table, 6, 0)
    assert table.heard == 980


def test_what_comes_new_was_said_now_whatever_the_clocks_of_others(table, clock):
    beat(table, 7, -40)
    table.go_live(None)
    clock.seconds = 1010
    beat(table, 7, -35)
    assert table.heard == 1010
    clock.seconds = 1020
    beat(table, 7, -35)
    assert table.heard == 1010  # the same once more is nothing new


def test_a_guard_whose_clock_is_ahead_has_spoken_now(table):
    beat(table, 7, 3600)
    assert table.heard == 1000


def test_a_new_reading_does_not_forget_when_a_guard_was_heard(table):
    beat(table, 7, -40)
    table.go_live(990)
    assert (table.live, table.heard) == (True, 990)
