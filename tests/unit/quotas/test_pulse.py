"""An active guard says that it is at work, every few seconds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.quotas import HEARTBEAT_KEY, Heartbeat, Stamp
from streams.guard.concern import AsOf
from streams.quotas.pulse import EVERY, Pulse
from streams.quotas.table import QuotaTable
from tests.support.ledger_rows import JOURNAL
from tests.support.quotas import NOW, stamp

AT = AsOf(JOURNAL, 7)


@pytest.fixture
def table() -> QuotaTable:
    table = QuotaTable()
    table.ready = True
    return table


def test_it_says_so_at_once_and_then_in_good_time(table):
    sent: list[Stamp] = []
    pulse = Pulse(table, lambda key, record, as_of: sent.append(as_of))
    for seconds in (0, 1, 4.9, 5, 6):
        pulse.beat(AT, NOW + timedelta(seconds=seconds))
    assert [one.at for one in sent] == [NOW, NOW + EVERY]
    assert sent[0] == stamp(7)


def test_one_that_is_behind_another_says_nothing(table):
    table.take(HEARTBEAT_KEY, Heartbeat(as_of=stamp(8)), stamp(8))
    sent: list[Stamp] = []
    Pulse(table, lambda key, record, as_of: sent.append(as_of)).beat(AT, NOW)
    assert sent == []


def test_the_table_knows_how_long_ago_it_was(table):
    assert table.age_seconds(NOW) is None
    said = Heartbeat(as_of=stamp())
    assert table.read(said.key.encode(), said.model_dump_json().encode(), ()) == said
    assert table.age_seconds(NOW + timedelta(seconds=2.5)) == 2.5
    assert table.age_seconds(NOW - timedelta(seconds=1)) == 0
    table.take(HEARTBEAT_KEY, None, None)
    assert table.age_seconds(NOW) is None


def test_it_is_no_budget_and_no_member(table):
    table.take(HEARTBEAT_KEY, Heartbeat(as_of=stamp()), stamp())
    assert not table.definitions | table.members
    assert table.keys() == [HEARTBEAT_KEY]
