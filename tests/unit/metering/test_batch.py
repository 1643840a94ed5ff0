from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.journal import ROW_SCHEMA, decode_entry, entry_headers
from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent
from schemas.wire import encode, encode_json
from streams.metering.batch import Metered, Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.rating.pricebook import PriceBook
from tests.corpus import invalid_examples, lookup, valid_examples
from tests.corpus.events import MINIMAL, with_
from tests.support.records import Record

SOURCE = "cluster/llm.usage"
ROOMY = 1_000_000
TINY = 1
"""No payload is as small: every entry is split down to single events."""
KNOWN_MODEL = {"provider": "openai", "model": "gpt-4o"}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


def usage(event_id: str, **changes: Any) -> bytes:
    fields = with_(MINIMAL, event_id=event_id, **(KNOWN_MODEL | changes))
    return encode(UsageEvent.model_validate(fields))


def span(
    *values: bytes | None,
    partition: int = 0,
    start: int = 0,
    first: int | None = None,
    lost: int = 0,
) -> Span:
    """Records at successive offsets from ``first`` on, in a span that starts at ``start``."""
    at = start if first is None else first
    records = [Record(partition, at + n, value) for n, value in enumerate(values)]
    return Span(SOURCE, partition, start, records, lost)


def metered(
    book: PriceBook, *spans: Span, max_payload: int = ROOMY, horizon: int = 1000
) -> Metered:
    windows = {s.partition: IdWindow(horizon) for s in spans}
    return meter_batch(spans, windows, book, lookup, max_payload)


def counts(outcome: Metered) -> Counter[str]:
    total: Counter[str] = Counter()
    for draft in outcome.drafts:
        for covered in draft.ranges:
            for name in ("events", "unpriced", "duplicates", "conflicts", "refused", "lost"):
                total[name] += getattr(covered, name)
    return +total


def sums(outcome: Metered) -> dict[str, Any]:
    rows = [row for draft in outcome.drafts for row in draft.rows.to_pylist()]
    names = ("calls", *BUCKET_NAMES, "cost")
    return {name: sum(row[name] or 0 for row in rows) for name in names}


def assert_tiles(outcome: Metered, spans: Sequence[Span]) -> None:
    """Per partition the drafts' ranges, in order, cover the span without gap or overlap."""
    for given in spans:
        ranges = [r for d in outcome.drafts for r in d.ranges if r.partition == given.partition]
        due = given.start
        for covered in ranges:
            assert covered.start == due <= covered.through
            assert covered.source == given.source
            due = covered.through + 1
        assert due == given.records[-1].offset + 1
        judged = sum(r.events + r.duplicates + r.refused for r in ranges)
        assert judged == len(given.records)
        assert sum(r.lost for r in ranges) == given.lost


def test_good_events_become_one_entry_that_covers_them(book):
    outcome = metered(book, span(usage("a"), usage("b"), start=40))
    (draft,) = outcome.drafts
    (covered,) = draft.ranges
    assert (covered.start, covered.through, covered.events) == (40, 41, 2)
    assert counts(outcome) == {"events": 2}
    (row,) = draft.rows.to_pylist()
    assert (row["calls"], row["input_tokens"], row["rating"]) == (2, 2400, "priced")
    assert row["cost"] == 2 * 1200 * Decimal("0.0000025")
    assert outcome.dead_letters == ()


def test_the_payload_holds_the_rows(book):
    outcome = metered(book, span(usage("a"), usage("b", team="other")))
    (draft,) = outcome.drafts
    read = decode_entry(entry_headers("m", draft.ranges), draft.payload)
    assert read.rows.equals(draft.rows)
    assert read.ranges == draft.ranges


def test_bad_events_in_the_middle_are_refused_and_their_neighbours_metered(book):
    spans = [span(usage("a"), b"\x07", usage("b"), None, usage("c"))]
    outcome = metered(book, *spans)
    assert counts(outcome) == {"events": 3, "refused": 2}
    assert [(d.record.offset, d.refusal.code) for d in outcome.dead_letters] == [
        (1, "unknown_framing"),
        (3, "empty_value"),
    ]
    assert sums(outcome)["calls"] == 3
    assert_tiles(outcome, spans)


def test_a_batch_of_bad_events_alone_is_covered_without_rows(book):
    outcome = metered(book, span(b"\x07", b"{}", start=5))
    (draft,) = outcome.drafts
    assert draft.rows.num_rows == 0
    assert draft.rows.schema.equals(ROW_SCHEMA)
    assert counts(outcome) == {"refused": 2}
    assert draft.ranges[0].through == 6


def test_a_batch_of_duplicates_alone_is_covered_without_rows(book):
    windows = {0: IdWindow(1000)}
    meter_batch([span(usage("a"))], windows, book, lookup, ROOMY)
    outcome = meter_batch([span(usage("a"), start=1)], windows, book, lookup, ROOMY)
    assert counts(outcome) == {"duplicates": 1}
    assert outcome.drafts[0].rows.num_rows == 0


def test_repeats_are_dropped_and_conflicts_among_them_counted(book):
    spans = [span(usage("a"), usage("a"), usage("b"), usage("a", input_tokens=9))]
    outcome = metered(book, *spans)
    assert counts(outcome) == {"events": 2, "duplicates": 2, "conflicts": 1}
    assert sums(outcome)["input_tokens"] == 2400
    assert_tiles(outcome, spans)


def test_one_id_in_two_partitions_is_no_duplicate(book):
    outcome = metered(book, span(usage("a")), span(usage("a"), partition=1))
    assert counts(outcome) == {"events": 2}


def test_an_event_that_was_refused_does_not_make_a_later_one_its_duplicate(book):
    bad = encode_json(UsageEvent.model_validate(with_(MINIMAL, event_id="a")))
    outcome = metered(book, span(bad.replace(b'"search"', b'""'), usage("a")))
    assert counts(outcome) == {"events": 1, "refused": 1}


def test_a_model_without_a_price_is_metered_unpriced(book):
    outcome = metered(book, span(usage("a"), usage("b", model="no such model", provider="none")))
    assert counts(outcome) == {"events": 2, "unpriced": 1}
    rows = {row["rating"]: row for row in outcome.drafts[0].rows.to_pylist()}
    assert rows["unpriced"]["cost"] is None
    assert rows["unpriced"]["input_tokens"] == 1200
    assert rows["priced"]["cost"] > 0


def test_several_partitions_share_an_entry_each_with_its_own_range_and_rows(book):
    spans = [
        span(usage("a"), b"?", usage("b"), start=7),
        span(usage("c"), usage("c"), partition=2, start=100, first=104),
    ]
    outcome = metered(book, *spans)
    (draft,) = outcome.drafts
    first, second = draft.ranges
    assert (first.partition, first.start, first.through) == (0, 7, 9)
    assert (second.partition, second.start, second.through) == (2, 100, 105)
    assert (first.events, first.refused, first.duplicates) == (2, 1, 0)
    assert (second.events, second.refused, second.duplicates) == (1, 0, 1)
    assert {r["partition"]: r["calls"] for r in draft.rows.to_pylist()} == {0: 2, 2: 1}


def test_lost_offsets_are_covered_and_counted(book):
    spans = [span(usage("a"), usage("b"), start=10, first=50, lost=40)]
    outcome = metered(book, *spans)
    assert counts(outcome) == {"events": 2, "lost": 40}
    assert_tiles(outcome, spans)


def mixed_spans() -> list[Span]:
    """Three partitions with holes, repeats, bad events and many attributions."""
    busy = [usage(f"e{n % 37}", team=f"team {n % 11}") for n in range(60)]
    busy[13] = busy[31] = b"\x07"
    holes = [
        Record(1, 3 * n + 900, usage(f"h{n}", user=f"u{n}", input_tokens=n)) for n in range(20)
    ]
    return [
        span(*busy, start=5),
        Span(SOURCE, 1, 800, holes, lost=70),
        span(usage("x"), partition=2, start=0, first=9),
    ]


@pytest.mark.parametrize("max_payload", [TINY, 4000, 6000])
def test_an_entry_that_is_too_large_is_halved_in_order_until_it_is_not(book, max_payload):
    spans = mixed_spans()
    whole, split = metered(book, *spans), metered(book, *spans, max_payload=max_payload)
    assert len(whole.drafts) == 1
    assert len(split.drafts) > 1
    for draft in split.drafts:
        events = sum(covered.events for covered in draft.ranges)
        assert len(draft.payload) <= max_payload or events <= 1
        assert sum(draft.rows["calls"].to_pylist()) == events
    assert_tiles(split, spans)
    assert counts(split) == counts(whole)
    assert sums(split) == sums(whole)
    assert split.dead_letters == whole.dead_letters


def test_lost_offsets_with_a_single_event_behind_them_do_not_split_for_ever(book):
    spans = [span(usage("a"), start=0, first=99, lost=99)]
    outcome = metered(book, *spans, max_payload=TINY)
    assert counts(outcome) == {"events": 1, "lost": 99}
    assert_tiles(outcome, spans)


def test_of_a_split_the_first_half_covers_all_that_was_lost(book):
    spans = [span(usage("a"), usage("b"), start=0, first=98, lost=98)]
    outcome = metered(book, *spans, max_payload=TINY)
    assert_tiles(outcome, spans)
    assert [r.lost for d in outcome.drafts for r in d.ranges if r.start == 0] == [98]
    assert counts(outcome)["lost"] == 98


def test_the_whole_corpus_is_metered_or_refused_as_it_says(book):
    values = [e.value for e in valid_examples()] + [e.value for e in invalid_examples()]
    spans = [span(*values)]
    outcome = metered(book, *spans)
    assert_tiles(outcome, spans)
    found = [(d.record.value, d.refusal.code) for d in outcome.dead_letters]
    assert found == [(e.value, e.code) for e in invalid_examples()]
    ids = {(e.expect["event_id"]) for e in valid_examples()}
    assert counts(outcome)["events"] == len(ids)


def test_of_a_thousand_events_with_fifty_bad_ones_950_are_metered_and_50_are_dead_letters(book):
    by_code = {e.code: e for e in invalid_examples()}
    kinds = [by_code[code] for code in sorted(by_code)][:10]
    assert len(kinds) == 10
    values: list[bytes | None] = [usage(f"e{n}", team=f"team {n % 7}") for n in range(1000)]
    expected = {}
    for n in range(50):
        offset = n * 20 + n % 13
        values[offset] = kinds[n % 10].value
        expected[offset] = kinds[n % 10]
    spans = [span(*values)]
    outcome = metered(book, *spans)
    assert counts(outcome) == {"events": 950, "refused": 50}
    assert sums(outcome)["calls"] == 950
    assert sums(outcome)["input_tokens"] == 950 * 1200
    assert_tiles(outcome, spans)
    assert [d.record.offset for d in outcome.dead_letters] == sorted(expected)
    for letter in outcome.dead_letters:
        example = expected[letter.record.offset]
        assert letter.record.value == example.value
        assert letter.refusal.code == example.code
        assert example.detail_has in letter.refusal.detail


def test_a_registry_that_cannot_be_asked_leaves_the_window_as_it_was(book):
    class Away(ConnectionError):
        pass

    def away(schema_id: int) -> None:
        raise Away

    confluent = next(e.value for e in valid_examples() if e.framing == "confluent")
    windows = {0: IdWindow(1000)}
    batch = [span(usage("a"), confluent)]
    with pytest.raises(Away):
        meter_batch(batch, windows, book, away, ROOMY)
    assert counts(meter_batch(batch, windows, book, lookup, ROOMY)) == {"events": 2}


def test_rows_carry_the_minute_in_utc(book):
    outcome = metered(book, span(usage("a", occurred_at="2026-11-01T12:34:56+02:00")))
    (row,) = outcome.drafts[0].rows.to_pylist()
    assert row["minute"] == datetime.fromisoformat("2026-11-01T10:34:00Z")
