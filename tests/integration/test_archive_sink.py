"""The archive in ClickHouse: an event once, the first of its id, whatever is written when."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from schemas.journal import SourcePartition
from schemas.usage import UsageEvent
from schemas.wire import encode_json, no_registry
from sinks.archive import Archive, Landed
from streams.landing.archive import archive_rows
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.support.events import call
from tests.support.records import Record

pytestmark = pytest.mark.slow

FIRST, SECOND = "first/llm.usage", "second/llm.usage"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


@pytest.fixture
def write(clickhouse, book):
    """Write events of one partition, from an offset on; `None` stands for a refused one."""

    def writes(
        source: str, offset: int, *events: dict[str, Any] | None, partition: int = 0
    ) -> None:
        archive = Archive(clickhouse, source)
        values = [
            b"refused" if fields is None else encode_json(UsageEvent.model_validate(fields))
            for fields in events
        ]
        records = [Record(partition, offset + n, value) for n, value in enumerate(values)]
        decoded, _ = decoded_records(records, book, no_registry)
        span = Landed(SourcePartition(source, partition), offset, records[-1].offset)
        archive.write(archive_rows(decoded), [span], archive.register_source())

    return writes


def stored(clickhouse) -> list[tuple[Any, ...]]:
    return clickhouse.query(
        "SELECT event_id, input_tokens, source, partition, offset FROM usage_events FINAL "
        "ORDER BY event_id"
    )


def test_events_that_are_written_twice_are_there_once(write, clickhouse):
    for _ in range(2):
        write(FIRST, 0, call("a", "search", 1), call("b", "search", 2))
    assert stored(clickhouse) == [("a", 1, FIRST, 0, 0), ("b", 2, FIRST, 0, 1)]
    assert clickhouse.query("SELECT count() FROM usage") == [(2,)]


WRITES = [
    (FIRST, 3, call("a", "search", 1)),
    (FIRST, 8, call("a", "search", 2)),
    (SECOND, 0, call("a", "search", 3)),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_first_event_of_an_id_wins_in_whatever_order_they_are_written(write, clickhouse, order):
    for source in (FIRST, SECOND):
        Archive(clickhouse, source).register_source()
    for index in order:
        write(*WRITES[index])
    assert stored(clickhouse) == [("a", 1, FIRST, 0, 3)]
    clickhouse.command("OPTIMIZE TABLE usage_events FINAL")
    assert stored(clickhouse) == [("a", 1, FIRST, 0, 3)]


def test_a_source_keeps_the_rank_of_its_first_appearance(clickhouse):
    ranks = [Archive(clickhouse, source).register_source() for source in (FIRST, SECOND, FIRST)]
    assert ranks == [0, 1, 0]
    assert clickhouse.query("SELECT source, seq FROM sources ORDER BY seq") == [
        (FIRST, 0),
        (SECOND, 1),
    ]


def test_the_next_offset_follows_the_last_that_was_read_refused_ones_included(write, clickhouse):
    archive = Archive(clickhouse, FIRST)
    assert archive.next_offsets() == {}
    write(FIRST, 0, call("a", "search", 1), None)
    write(FIRST, 5, None, partition=2)
    write(SECOND, 40, call("b", "search", 1))
    assert archive.next_offsets() == {0: 2, 2: 6}
    assert Archive(clickhouse, SECOND).next_offsets() == {0: 41}
    assert len(stored(clickhouse)) == 2


def test_earlier_ids_are_the_newest_of_every_other_source(write, clickhouse):
    write(FIRST, 0, call("a", "search", 1), call("b", "search", 1))
    write(FIRST, 2, call("c", "search", 1))
    write(SECOND, 0, call("d", "search", 1))
    assert Archive(clickhouse, SECOND).earlier_ids(10) == {"a", "b", "c"}
    assert Archive(clickhouse, "third/llm.usage").earlier_ids(1) == {"d"}
    assert Archive(clickhouse, FIRST).earlier_ids(10) == {"d"}


def test_every_field_of_an_event_is_there_as_it_was_sent(write, clickhouse):
    sent = call(
        "whole",
        "search",
        7,
        tags={"git": "dd18da1", "città": "Łódź"},
        provider_cost="0.00315",
        attempt=2,
        served_from_cache=False,
        occurred_at="2026-03-10T12:00:00.123456Z",
    )
    write(FIRST, 0, sent)
    names, (row,) = clickhouse.query_columns("SELECT * FROM usage")
    found = dict(zip(names, row, strict=True))
    # The driver leaves out a zone that is UTC.
    assert found["occurred_at"].isoformat() == "2026-03-10T12:00:00.123456"
    for name in ("tags", "provider_cost", "attempt", "served_from_cache", "team", "input_tokens"):
        assert found[name] == sent[name], name
    assert found["output_tokens"] is None
    assert (found["rating"], found["cost"]) == ("unpriced", None)


def test_the_cost_of_an_event_is_exact_dollars(write, clickhouse):
    write(FIRST, 0, call("a", "search", 1, provider="openai", model="gpt-4o-mini"))
    ((cost, pico),) = clickhouse.query(
        "SELECT u.cost, e.cost_pico FROM usage AS u INNER JOIN usage_events AS e USING event_id"
    )
    assert (f"{cost:f}", pico) == ("0.000000150000", 150_000)
