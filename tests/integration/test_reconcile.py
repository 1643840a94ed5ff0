"""Reconciliation sees what is wrong, and says where and by how much."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from schemas.journal import (
    DIMENSIONS,
    Counted,
    SourcePartition,
    adjustment_headers,
    decode_entry,
    encode_rows,
)
from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent
from schemas.wire import encode_json, no_registry
from sinks.archive import Archive, Landed
from sinks.ledger import Ledger
from streams.journal.fence import Fence
from streams.landing.archive import archive_rows
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from streams.reconciliation.causes import Cause, Evidence, explain
from streams.reconciliation.figures import Figures
from streams.reconciliation.repair import adjustments
from streams.reconciliation.verdict import reconcile
from tests.support.events import call
from tests.support.ledger_rows import JOURNAL, NOON, SOURCE
from tests.support.records import Record

pytestmark = pytest.mark.slow

P0, P1 = SourcePartition(SOURCE, 0), SourcePartition(SOURCE, 1)
PRICED = {"provider": "openai", "model": "gpt-4o-mini"}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


class Pipeline:
    """Meter, ledger sink and archive sink in this process, without a broker."""

    def __init__(self, clickhouse: Any, book: PriceBook) -> None:
        self.clickhouse, self.book = clickhouse, book
        self.windows = {partition: IdWindow(1000) for partition in (0, 1)}
        self.next = {0: 0, 1: 0}
        self.position = 0

    def records(self, partition: int, *events: dict[str, Any]) -> list[Record]:
        start = self.next[partition]
        self.next[partition] += len(events)
        return [
            Record(partition, start + n, encode_json(UsageEvent.model_validate(fields)))
            for n, fields in enumerate(events)
        ]

    def land(self, records: list[Record]) -> None:
        span = Span(SOURCE, records[0].partition, records[0].offset, records, 0)
        metered = meter_batch([span], self.windows, self.book, no_registry, 900_000)
        for draft in metered.drafts:
            ledger = Ledger(self.clickhouse, JOURNAL)
            counted = Counted(draft.ranges, None, draft.rows)
            ledger.write(self.position, draft.ranges, counted, NOON)
            self.position += 1

    def archive(self, records: list[Record]) -> None:
        events, _ = decoded_records(records, self.book, no_registry)
        archive = Archive(self.clickhouse, SOURCE)
        key = SourcePartition(SOURCE, records[0].partition)
        span = Landed(key, records[0].offset, records[-1].offset)
        archive.write(archive_rows(events), [span], archive.register_source())

    def both(self, partition: int, *events: dict[str, Any]) -> None:
        records = self.records(partition, *events)
        self.land(records)
        self.archive(records)

    def guard(self, **changes: int) -> dict[str, Any]:
        """What a guard that agrees would answer, or one that is off by ``changes`` in P0."""
        rows = self.clickhouse.query(
            "SELECT partition, sum(calls), sum(cost) FROM spend GROUP BY partition"
        )
        parts = [
            {
                "source": SOURCE,
                "partition": partition,
                "calls": calls + (changes.get("calls", 0) if partition == 0 else 0),
                "cost_pico_usd": str(
                    int(cost.scaleb(12)) + (changes.get("cost", 0) if partition == 0 else 0)
                ),
            }
            for partition, calls, cost in rows
        ]
        return {"journal": JOURNAL, "position": self.position - 1, "partitions": parts}

    def differences(self) -> list[tuple[SourcePartition, str, tuple[str, str], int]]:
        found = reconcile(self.clickhouse, self.guard()).differences
        return [(d.cell.partition, d.figure, d.copies, d.values[0] - d.values[1]) for d in found]


@pytest.fixture
def pipeline(clickhouse, book):
    """Two partitions with traffic; calls are a minute apart."""
    pipeline = Pipeline(clickhouse, book)
    for partition in (0, 1):
        for n in range(5):
            at = (NOON + timedelta(minutes=n)).isoformat()
            fields = call(f"e{partition}-{n}", "search", 1000 + n, occurred_at=at, **PRICED)
            pipeline.both(partition, fields)
    return pipeline


def test_three_equal_copies_reconcile_to_their_figures(pipeline):
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert verdict.ok
    assert (verdict.partitions, verdict.guard_position) == (2, 9)
    assert (verdict.compared.calls, verdict.compared.tokens) == (10, 2 * 5010)
    assert verdict.compared.cost == 2 * 5010 * 150_000


def test_without_the_guard_the_answer_is_no(pipeline):
    verdict = reconcile(pipeline.clickhouse, None)
    assert not verdict.ok
    assert (verdict.differences, verdict.guard_position) == ((), None)


def test_what_the_archive_lacks_is_named(pipeline):
    pipeline.clickhouse.command("DELETE FROM usage_events WHERE event_id = 'e0-3'")
    assert pipeline.differences() == [
        (P0, "calls", ("archive", "ledger"), -1),
        (P0, "tokens", ("archive", "ledger"), -1003),
        (P0, "cost", ("archive", "ledger"), -1003 * 150_000),
    ]


def test_what_the_ledger_lacks_is_named(pipeline):
    pipeline.clickhouse.command("DELETE FROM spend WHERE partition = 1 AND input_tokens = 1004")
    assert pipeline.differences() == [
        (P1, "calls", ("archive", "ledger"), 1),
        (P1, "tokens", ("archive", "ledger"), 1004),
        (P1, "cost", ("archive", "ledger"), 1004 * 150_000),
    ]


def test_a_cost_that_is_off_by_the_last_digit_is_named_in_dollars(pipeline):
    pipeline.clickhouse.command(
        "ALTER TABLE spend UPDATE cost = cost + toDecimal128('0.000000000001', 12) "
        "WHERE partition = 0 AND input_tokens = 1000 SETTINGS mutations_sync = 2"
    )
    (difference,) = reconcile(pipeline.clickhouse, pipeline.guard()).differences
    assert (difference.cell.partition, difference.figure) == (P0, "cost")
    assert difference.values[1] - difference.values[0] == 1
    words = f"{P0} 2026-03 cost: archive $0.000751500000, ledger $0.00075150000"
    assert str(difference).startswith(words)


@pytest.mark.parametrize(("figure", "by"), [("calls", 1), ("cost", -1)])
def test_a_guard_that_is_off_is_named(pipeline, figure, by):
    found = reconcile(pipeline.clickhouse, pipeline.guard(**{figure: by})).differences
    assert [(d.cell.partition, d.figure, d.copies, d.values[0] - d.values[1]) for d in found] == [
        (P0, figure, ("guard", "ledger"), by)
    ]


def test_a_guard_that_is_behind_is_compared_as_of_its_own_position(pipeline):
    behind = pipeline.guard()
    pipeline.both(0, call("later", "search", 5, **PRICED))
    verdict = reconcile(pipeline.clickhouse, behind)
    assert verdict.ok
    assert verdict.compared.calls == 11


def test_an_archive_that_is_behind_is_compared_as_far_as_it_goes(pipeline):
    pipeline.land(pipeline.records(0, call("later", "search", 5, **PRICED)))
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert verdict.ok
    assert verdict.compared.calls == 10


def test_a_ledger_that_is_behind_is_compared_as_far_as_it_goes(pipeline):
    pipeline.archive(pipeline.records(0, call("later", "search", 5, **PRICED)))
    assert reconcile(pipeline.clickhouse, pipeline.guard()).ok


def test_a_void_takes_its_call_back_in_every_copy(pipeline):
    taken_back = call("e0-3", "search", 1003, occurred_at=NOON.isoformat(), **PRICED)
    pipeline.both(0, taken_back | {"event_id": "void:e0-3", "kind": "void", "voids": "e0-3"})
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert verdict.ok
    assert (verdict.compared.calls, verdict.compared.tokens) == (9, 2 * 5010 - 1003)
    assert Decimal(verdict.compared.cost) == (2 * 5010 - 1003) * 150_000


def test_a_repeated_event_counts_once_in_every_copy(pipeline):
    repeated = call("e0-3", "search", 1003, occurred_at=NOON.isoformat(), **PRICED)
    pipeline.both(0, repeated)
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert verdict.ok
    assert verdict.compared.calls == 10


RICH = {
    **{
        name: f"a {name}"
        for name in (
            *("department", "project", "use_case", "application", "environment", "user"),
            *("customer", "workflow", "region", "error_code", "routing_tier", "retry_of"),
            *("requested_model", "shadow_of"),
        )
    },
    **{"service_tier": "batch", "status": "error", "attempt": 2, "provider_cost": "0.000000000001"},
    **{"served_from_cache": True, "usage_source": "estimated"},
    **dict.fromkeys(BUCKET_NAMES, 7),
}


def repaired(pipeline: Pipeline) -> int:
    """Land the adjustments that the present differences ask for; how many counted."""
    fence = Fence({}, Ledger(pipeline.clickhouse, JOURNAL).progress().adjusted)
    counted = 0
    for explanation in reconcile(pipeline.clickhouse, pipeline.guard()).repairable:
        for adjustment, payload in adjustments(explanation, 900_000):
            entry = decode_entry(adjustment_headers("test", adjustment), payload)
            for _ in range(2):  # whoever appends it again changes nothing
                found = fence.counted(entry, pipeline.position)
                Ledger(pipeline.clickhouse, JOURNAL).write(pipeline.position, (), found, NOON)
                pipeline.position += 1
                counted += found.adjustment is not None
    return counted


def test_every_attribute_of_an_event_is_the_same_in_archive_and_ledger(pipeline):
    pipeline.both(0, call("rich", "search", 7, **PRICED) | RICH)
    pipeline.both(1, call("missing", "search", 0, usage_source="missing", input_tokens=None))
    pipeline.clickhouse.command("DELETE FROM spend WHERE team = 'search'")
    (rich,) = [
        e.difference
        for e in reconcile(pipeline.clickhouse, pipeline.guard()).explanations
        if e.difference.figures.tokens == 7 * len(BUCKET_NAMES)
    ]
    (row,) = rich.rows.to_pylist()
    assert {name: row[name] for name in DIMENSIONS if name in RICH} == {
        name: RICH[name] for name in DIMENSIONS if name in RICH
    }
    assert (row["is_retry"], row["is_shadow"], row["rating"]) == (True, True, "priced")
    assert row["provider_cost"] == Decimal("0.000000000001")


def test_what_the_ledger_lacks_is_added_once_and_then_all_agree(pipeline):
    pipeline.both(0, call("rich", "search", 7, **PRICED) | RICH)
    before = pipeline.clickhouse.query("SELECT * EXCEPT (position, recorded_at) FROM spend")
    pipeline.clickhouse.command("DELETE FROM spend WHERE partition = 0")
    verdict = reconcile(pipeline.clickhouse, None)
    assert {e.cause for e in verdict.explanations} == {Cause.MISSING_IN_LEDGER}
    assert repaired(pipeline) == 6
    assert reconcile(pipeline.clickhouse, pipeline.guard()).ok
    assert repaired(pipeline) == 0
    after = pipeline.clickhouse.query("SELECT * EXCEPT (position, recorded_at) FROM spend")
    assert sorted(map(str, after)) == sorted(map(str, before))


def test_an_event_that_was_counted_on_two_partitions_is_taken_back_once(pipeline):
    fields = call("e0-3", "search", 1003, occurred_at=(NOON + timedelta(minutes=3)).isoformat())
    records = pipeline.records(1, fields | PRICED)
    pipeline.land(records)
    pipeline.archive(records)
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    (difference,) = [e.difference for e in verdict.explanations]
    assert (difference.partition, difference.start, difference.through) == (P1, 5, 5)
    assert difference.figures == Figures(-1, -1003, -1003 * 150_000)
    late = Evidence(complete=True, repeats=(("e0-3", "cluster/llm.usage[0] 3"),))
    explanation = explain(difference, late)
    assert explanation.cause is Cause.LATE_DUPLICATE
    assert "e0-3 (also at cluster/llm.usage[0] 3)" in explanation.detail

    def by_log(found):
        return [explain(d, late) for d in found]

    (again,) = reconcile(pipeline.clickhouse, None, by_log).repairable
    ((adjustment, payload),) = adjustments(again, 900_000)
    entry = decode_entry(adjustment_headers("test", adjustment), payload)
    found = Fence().counted(entry, pipeline.position)
    Ledger(pipeline.clickhouse, JOURNAL).write(pipeline.position, (), found, NOON)
    pipeline.position += 1
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert verdict.ok
    assert verdict.compared.calls == 10


def test_rows_that_no_entry_stands_for_are_named_and_not_repaired(pipeline):
    pipeline.clickhouse.command("INSERT INTO spend SELECT * REPLACE (3 AS partition) FROM spend")
    pipeline.clickhouse.command(
        "INSERT INTO spend SELECT * REPLACE (-7 AS position) FROM spend WHERE partition = 0"
    )
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert not verdict.ok
    assert verdict.unplaced == (P0,)
    assert verdict.repairable == ()


def test_what_retention_took_from_the_archive_is_explained_and_no_reason_to_worry(pipeline):
    pipeline.clickhouse.command("DELETE FROM usage_events WHERE event_id IN ('e0-1', 'e0-2')")
    pipeline.clickhouse.command(
        "INSERT INTO archive_progress (source, partition, start, through, lost) "
        f"VALUES ('{SOURCE}', 0, 1, 4, 2)"
    )
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert [e.cause for e in verdict.explanations] == [Cause.UNARCHIVED] * 2
    assert verdict.ok
    assert verdict.repairable == ()


def test_another_price_is_named_and_not_repaired(pipeline):
    pipeline.clickhouse.command(
        "ALTER TABLE spend UPDATE cost = 2 * cost, price_ref = 'another' "
        "WHERE partition = 0 AND input_tokens = 1000 SETTINGS mutations_sync = 2"
    )
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert [e.cause for e in verdict.explanations] == [Cause.RATED_DIFFERENTLY]
    assert verdict.repairable == ()
    assert not verdict.ok


def test_what_nobody_can_explain_is_not_repaired(pipeline):
    pipeline.clickhouse.command("DELETE FROM usage_events WHERE event_id = 'e0-3'")
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert [e.cause for e in verdict.explanations] == [Cause.UNKNOWN]
    assert verdict.repairable == ()
    (difference,) = [e.difference for e in verdict.explanations]
    found = explain(difference, Evidence(complete=True, missing=("e0-3",)))
    assert found.cause is Cause.MISSING_IN_ARCHIVE
    assert "e0-3" in found.detail


def test_an_adjustment_that_is_too_large_is_several_with_ids_of_their_own(pipeline):
    pipeline.clickhouse.command("DELETE FROM spend WHERE partition = 0")
    explanation = reconcile(pipeline.clickhouse, None).explanations[0]
    rows = pa.concat_tables([explanation.difference.rows] * 50)
    large = replace(explanation, difference=replace(explanation.difference, rows=rows))
    parts = list(adjustments(large, len(encode_rows(rows)) - 1))
    assert len({adjustment.adjustment_id for adjustment, _ in parts}) == len(parts) > 1
    read = [decode_entry(adjustment_headers("t", a), payload).rows for a, payload in parts]
    assert pa.concat_tables(read).equals(rows.combine_chunks())
