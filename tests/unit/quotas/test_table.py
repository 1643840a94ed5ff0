"""What is kept of the quotas topic, and what is passed over."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest

from schemas.quotas import STAMP_HEADER, MemberState, Stamp
from streams.quotas.table import QuotaTable
from tests.support.quotas import definition, stamp, state


def read(table: QuotaTable, record: MemberState) -> bool:
    return table.read(record.key.encode(), record.model_dump_json().encode(), ()) is not None


def remove(table: QuotaTable, key: str, at: Stamp | None) -> None:
    headers = () if at is None else ((STAMP_HEADER, at.model_dump_json().encode()),)
    table.read(key.encode(), None, headers)


def test_a_record_comes_back_as_it_was_published():
    table, one = QuotaTable(), state(used=Decimal("0.000000000001"))
    assert read(table, one)
    assert table.members == {one.key: one}
    budget = definition(exceptions=[{"members": {"user": ["ann"]}, "limit": "3.50"}])
    table.read(budget.key.encode(), budget.model_dump_json().encode(), ())
    assert table.definitions == {budget.key: budget}


@pytest.mark.parametrize(
    ("other", "newer"),
    [
        (stamp(6, 100), False),
        (stamp(7, -1), False),
        (stamp(7), True),
        (stamp(7, 1), True),
        (stamp(8, -100), True),
        (stamp(1, -100, journal="other/llm.spend"), True),
    ],
)
def test_only_a_record_of_a_later_entry_or_time_replaces_one(other, newer):
    table = QuotaTable()
    assert read(table, state(used=1))
    assert read(table, state(used=2, as_of=other)) == newer
    assert next(iter(table.members.values())).used == (2 if newer else 1)


def test_a_record_without_a_value_removes_what_is_older_and_stays_in_mind():
    table, one = QuotaTable(), state()
    read(table, one)
    remove(table, one.key, stamp(6))
    assert table.members
    remove(table, one.key, stamp(9))
    assert not table.members
    assert not read(table, state(as_of=stamp(8)))
    assert read(table, state(as_of=stamp(10)))


def test_an_operator_may_remove_a_key_by_hand():
    table, one = QuotaTable(), state()
    read(table, one)
    remove(table, one.key, None)
    assert not table.members
    assert read(table, one)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"member:users:{}", b"{}"),
        (b"member:users:{}", b"\xff"),
        (b"\xff", b"{}"),
        (None, b"[" * 100_000),
        (b"budget:other", definition().model_dump_json().encode()),
        (b"budget:users", b'{"record":"future"}'),
    ],
)
def test_what_is_no_record_is_passed_over_with_a_word(key, value, caplog):
    table = QuotaTable()
    with caplog.at_level(logging.WARNING):
        assert table.read(key, value, ()) is None
    assert "passed over" in caplog.text
    assert not table.definitions | table.members


def test_a_field_of_a_newer_version_is_ignored():
    value = state().model_dump_json().replace('{"record"', '{"new":1,"record"')
    assert QuotaTable().read(state().key.encode(), value.encode(), ()) == state()
