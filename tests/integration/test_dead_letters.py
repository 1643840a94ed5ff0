"""Dead letters in ClickHouse: byte for byte, by reason, and what was done about each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas.batch import INDEX
from schemas.dead_letters import Action, Letter
from schemas.journal import SourcePartition
from schemas.usage import UsageEvent
from schemas.wire import encode_json, no_registry
from sinks import dead_letters as module
from sinks.archive import Archive, Landed
from sinks.dead_letters import DeadLetters, Group
from streams.landing.archive import archive_rows, refused_letters
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.support.events import call
from tests.support.records import Record

pytestmark = pytest.mark.slow

SOURCE = "cluster/llm.usage"
AT = datetime(2026, 11, 1, 12, 0, 0, 7000, tzinfo=UTC)
EVERY_BYTE = bytes(range(256))


@pytest.fixture
def tables(clickhouse) -> DeadLetters:
    return DeadLetters(clickhouse)


def letter(offset: int, reason: str = "missing_field", **changes: object) -> Letter:
    fields: dict[str, object] = {
        "source": SOURCE,
        "partition": 0,
        "offset": offset,
        "key": b"search",
        "value": b"{}",
        "headers": (),
        "appended_at": AT + timedelta(seconds=offset),
        "reason": reason,
        "detail": f"detail {offset}",
    }
    return Letter(**fields | changes)  # type: ignore[arg-type]


def act(of: Letter, kind: str, seconds: int, **more: object) -> Action:
    return Action(of.letter, kind, AT + timedelta(seconds=seconds), "ann", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [EVERY_BYTE, b"", None, b"\x00" * 5, "ß\u2028".encode()])
def test_every_byte_survives(tables, value):
    headers = (
        ("traceparent", b"00-1"),
        ("traceparent", EVERY_BYTE),
        ("", None),
        ("empty", b""),
        ("naïve\x00\n'{x:String}", b"'"),
    )
    written = letter(7, key=value, value=value, headers=headers, appended_at=None)
    tables.record([written])
    assert tables.letters([written.letter]) == {written.letter: written}
    (entry,) = tables.entries_of([written.letter])
    assert (entry.key, entry.size) == (value, None if value is None else len(value))


def test_a_letter_that_is_landed_again_is_there_once(tables):
    for _ in range(2):
        tables.record([letter(0), letter(1)])
    assert [entry.offset for entry in tables.entries(None)] == [0, 1]
    assert len(tables.letters([letter(0).letter, letter(1).letter])) == 2


def test_large_letters_are_written_in_several_inserts(tables, monkeypatch):
    sizes = []
    insert = tables._clickhouse.insert
    monkeypatch.setattr(
        tables._clickhouse,
        "insert",
        lambda name, rows: (sizes.append(len(rows)), insert(name, rows)),
    )
    monkeypatch.setattr(module, "INSERT_BYTES", 1000)
    tables.record([letter(n, value=b"x" * 400) for n in range(5)] + [letter(5, value=b"x" * 5000)])
    assert sizes == [2, 2, 1, 1]
    assert [entry.size for entry in tables.entries(None)] == [400] * 5 + [5000]


def test_letters_are_grouped_by_reason_the_most_frequent_first(tables):
    tables.record(
        [
            letter(1, "poison", key=None, appended_at=None),
            *(letter(n, key=b"a" if n < 6 else EVERY_BYTE) for n in range(2, 9)),
        ]
    )
    many, few = tables.groups("open")
    assert many == Group(
        "missing_field",
        7,
        AT + timedelta(seconds=2),
        AT + timedelta(seconds=8),
        (b"a", EVERY_BYTE),
        letter(8).letter,
        "detail 8",
    )
    assert few == Group("poison", 1, None, None, (), letter(1).letter, "detail 1")
    assert tables.groups("open", "poison") == [few]
    assert tables.groups("dropped") == []


def test_a_letter_is_open_until_it_was_replayed_or_dropped(tables):
    letters = [letter(n) for n in range(4)]
    tables.record(letters)
    untouched, begun, sent, dropped = letters
    tables.act([act(begun, "replaying", 0), act(sent, "replaying", 0), act(dropped, "dropped", 1)])
    tables.act([act(sent, "replayed", 2, note="typo")])
    found = {e.offset: (e.status, e.action, e.at, e.who, e.note) for e in tables.entries(None)}
    later = AT + timedelta(seconds=2)
    assert found == {
        0: ("open", None, None, None, None),
        1: ("open", "replaying", AT, "ann", ""),
        2: ("replayed", "replayed", later, "ann", "typo"),
        3: ("dropped", "dropped", AT + timedelta(seconds=1), "ann", ""),
    }
    for status, offsets in (("open", [0, 1]), ("replayed", [2]), ("dropped", [3])):
        assert [entry.offset for entry in tables.entries(status)] == offsets
        assert sum(group.letters for group in tables.groups(status)) == len(offsets)
    assert tables.entries("open", "poison") == []
    assert untouched.letter not in tables.history([entry.letter for entry in letters])


def test_what_was_sent_is_replayed_even_where_it_was_dropped_afterwards(tables):
    tables.record([letter(0)])
    tables.act([act(letter(0), "replayed", 0), act(letter(0), "dropped", 1)])
    (entry,) = tables.entries(None)
    assert entry.status == "replayed"


def test_the_audit_trail_has_every_action_in_order_and_none_is_lost(tables):
    trail = [
        act(letter(0), "replaying", 0, sha256="ab" * 32, source=SOURCE, partition=0, offset=9),
        act(letter(0), "replaying", 1, edited=True, source=SOURCE, partition=0, offset=12),
        replace(act(letter(0), "replayed", 1), at=AT + timedelta(seconds=1, microseconds=1)),
    ]
    for action in reversed(trail):
        tables.act([action])
    tables.act([])
    assert tables.history([letter(0).letter, letter(1).letter]) == {letter(0).letter: trail}


def test_more_letters_than_are_asked_for_at_once_are_found(tables, monkeypatch):
    monkeypatch.setattr(module, "ASKED_AT_ONCE", 3)
    letters = [letter(n) for n in range(8)]
    tables.record(letters)
    ids = [each.letter for each in letters]
    assert set(tables.letters(ids).values()) == set(letters)
    assert [entry.letter for entry in tables.entries_of([*ids, "unknown"])] == ids


def test_the_archive_lands_what_is_refused_before_it_says_that_it_has_read_it(
    clickhouse, tables, monkeypatch
):
    good = encode_json(UsageEvent.model_validate(call("a", "search", 1)))
    headers = (("h", b"\xff"),)
    records = [
        Record(0, 5, good),
        Record(0, 6, EVERY_BYTE, key=b"k", timestamp=1_793_534_400_007, headers=headers),
        Record(0, 7, None, timestamp=-1),
    ]
    events, refusals = decoded_records(records, PriceBook.load(None), no_registry)
    assert events[INDEX].to_list() == [0]
    refused = refused_letters(SOURCE, records, refusals)
    archive = Archive(clickhouse, SOURCE)
    rank = archive.register_source()
    span = Landed(SourcePartition(SOURCE, 0), 5, 7)

    inserts = []
    insert = clickhouse.insert
    monkeypatch.setattr(
        clickhouse,
        "insert",
        lambda name, *rest, **more: (inserts.append(name), insert(name, *rest, **more)),
    )
    archive.write(archive_rows(events), [span], rank, refused)

    assert inserts == ["usage_events", "dead_letters", "archive_progress"]
    found = tables.letters([each.letter for each in refused])
    assert [found[each.letter] for each in refused] == refused
    first, second = refused
    assert (first.value, first.key, first.headers) == (EVERY_BYTE, b"k", headers)
    assert first.appended_at == AT
    assert (first.reason, second.reason) == ("unknown_schema", "empty_value")
    assert (second.value, second.appended_at) == (None, None)


def test_the_archive_says_where_an_event_came_from(clickhouse):
    ids = ["a", "it's \\ %s {x:String}", "ß"]
    values = [encode_json(UsageEvent.model_validate(call(i, "search", 1))) for i in ids]
    records = [Record(3, offset, value) for offset, value in enumerate(values)]
    events, _ = decoded_records(records, PriceBook.load(None), no_registry)
    archive = Archive(clickhouse, SOURCE)
    span = Landed(SourcePartition(SOURCE, 3), 0, 2)
    archive.write(archive_rows(events), [span], archive.register_source())
    places = Archive(clickhouse, "another/llm.usage").places_of([*ids, "unknown"])
    assert places == {name: (SOURCE, 3, offset) for offset, name in enumerate(ids)}
    assert archive.places_of([]) == {}
    more_than_a_statement_holds = [f"{number:060}" for number in range(5000)]
    assert archive.places_of([*more_than_a_statement_holds, ids[0]]).keys() == {ids[0]}
