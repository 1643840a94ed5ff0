"""What is refused beyond the contract's own rules: wrong clocks, too much, and what breaks us."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.usage import FUTURE_LIMIT, UsageEvent
from schemas.wire import MAX_EVENT_BYTES, encode, encode_json, no_registry
from streams.metering import events as module
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from streams.schema_registry import RegistryUnavailable
from streams.usage_consumer import Record
from tests.support.events import call

APPENDED = datetime(2026, 3, 10, 12, tzinfo=UTC)


def usage_event(**changes: Any) -> UsageEvent:
    return UsageEvent(**call("event", "search", 100) | {"occurred_at": APPENDED} | changes)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load(None)


def record(value: bytes, offset: int = 0, appended: datetime | None = APPENDED) -> Record:
    at = -1 if appended is None else int(appended.timestamp() * 1000)
    return Record(0, offset, at, None, value, ())


def at(ahead: timedelta, number: int = 0) -> bytes:
    return encode(usage_event(event_id=f"event-{number}", occurred_at=APPENDED + ahead))


@pytest.mark.parametrize("make", [encode, encode_json])
def test_an_event_from_beyond_the_limit_is_refused_with_both_times(book, make):
    early = usage_event(occurred_at=APPENDED + FUTURE_LIMIT + timedelta(seconds=1))
    events, refusals = decoded_records([record(make(early))], book, no_registry)
    assert events.is_empty()
    assert refusals[0].code == "time_in_future"
    assert "10 minutes" in refusals[0].detail
    assert "2026-03-10T12:00:00Z" in refusals[0].detail


def test_an_event_at_the_limit_or_of_any_age_is_metered(book):
    ages = [FUTURE_LIMIT, timedelta(0), -timedelta(days=1), -timedelta(days=365 * 20)]
    records = [record(at(age, n), n) for n, age in enumerate(ages)]
    events, refusals = decoded_records(records, book, no_registry)
    assert events["offset"].to_list() == [0, 1, 2, 3]
    assert refusals == {}


def test_a_record_without_a_time_is_believed(book):
    events, refusals = decoded_records(
        [record(at(timedelta(days=300)), appended=None)], book, no_registry
    )
    assert (events.height, refusals) == (1, {})


def test_a_record_that_is_too_large_is_refused_unread(book):
    largest = encode_json(usage_event()).ljust(MAX_EVENT_BYTES)
    events, refusals = decoded_records(
        [record(largest), record(largest + b" ", 1)], book, no_registry
    )
    assert events["offset"].to_list() == [0]
    assert refusals[1].code == "event_too_large"
    assert "262,145 bytes" in refusals[1].detail


class Panic(BaseException):
    """As Rust libraries raise it: no Exception."""


@pytest.mark.parametrize("kind", [Panic, ValueError])
def test_a_record_that_breaks_the_program_is_refused_and_its_neighbours_are_metered(
    book, monkeypatch, kind
):
    def fragile(events, prices):
        if "event-5" in events["event_id"]:
            raise kind("no   such\ncase")
        return rated(events, prices)

    rated = module.rate
    monkeypatch.setattr(module, "rate", fragile)
    late = timedelta(days=1)
    records = [record(at(late if n == 6 else timedelta(0), n), 100 + n) for n in range(9)]
    events, refusals = decoded_records(records, book, no_registry)
    assert events["offset"].to_list() == [100, 101, 102, 103, 104, 107, 108]
    assert events["index"].to_list() == [0, 1, 2, 3, 4, 7, 8]
    assert {index: why.code for index, why in refusals.items()} == {
        5: "poison",
        6: "time_in_future",
    }
    assert refusals[5].detail == f"the meter cannot process it: {kind.__name__}: no such case"


@pytest.mark.parametrize("error", [RegistryUnavailable("away"), MemoryError()])
def test_what_is_not_the_records_fault_is_raised(book, monkeypatch, error):
    def unable(events, prices):
        raise error

    monkeypatch.setattr(module, "rate", unable)
    with pytest.raises(type(error)):
        decoded_records([record(at(timedelta(0)))], book, no_registry)
