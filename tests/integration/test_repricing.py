"""Repricing of archive and ledger: exact, once, from wherever it was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.errors import UserError
from schemas.journal import adjustment_headers, decode_entry
from sinks.ledger import Ledger
from streams.journal.fence import Fence
from streams.rating.pricebook import PriceBook
from streams.reconciliation.causes import Cause, Evidence, explain
from streams.reconciliation.repair import adjustments
from streams.reconciliation.verdict import reconcile
from streams.repricing import pending, scope
from streams.repricing.apply import NotOnlyPrices, Repricer
from streams.repricing.preview import Change, What, preview
from streams.repricing.scope import Scope, check_names
from tests.integration.test_reconcile import Pipeline
from tests.support.events import PRICES, call
from tests.support.ledger_rows import JOURNAL, NOON

pytestmark = pytest.mark.slow

DAYS = 6
FIRST = date(2026, 3, 10)
ALL = Scope(FIRST, FIRST + timedelta(days=DAYS - 1))
CORRECTED = """
  - provider: own
    model: unit
    effective_from: 2026-03-12T12:30Z
    usd_per_million_tokens: {input: 1.5, output: 1}
"""
OLD = "prices.yaml:own/unit from 2020-01-01"
NEW = "prices.yaml:own/unit from 2026-03-12T12:30Z"
ROOMY = 900_000


class CutOff(Exception):
    """The program ends here."""


@dataclass
class Journal:
    """The journal and the ledger sink in this process: what is sent is judged by the fence."""

    pipeline: Pipeline
    calls_left: int = 10**6
    sent: list[tuple[Any, bytes]] = field(default_factory=list)

    async def send_and_wait(
        self, _: str, payload: bytes, *, partition: int, headers: Sequence[tuple[str, bytes]]
    ) -> SimpleNamespace:
        assert partition == 0
        if self.calls_left == 0:
            raise CutOff
        self.calls_left -= 1
        self.sent.append((headers, payload))
        return SimpleNamespace(offset=self.append(headers, payload))

    def append(self, headers: Sequence[tuple[str, bytes]], payload: bytes) -> int:
        ledger = Ledger(self.pipeline.clickhouse, JOURNAL)
        counted = Fence({}, ledger.progress().adjusted).counted(decode_entry(headers, payload), 0)
        position = self.pipeline.position
        # A closed month: what is recorded for it now restates it.
        ledger.write(position, (), counted, datetime(2026, 5, 1, tzinfo=UTC))
        self.pipeline.position += 1
        return position


def book_of(folder: Path, text: str) -> PriceBook:
    file = folder / "prices.yaml"
    file.write_text(text)
    return PriceBook.load(file)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    return book_of(tmp_path_factory.mktemp("old"), PRICES)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    return book_of(tmp_path_factory.mktemp("new"), PRICES + CORRECTED)


@pytest.fixture
def pipeline(clickhouse, old):
    """Calls of two teams on two partitions over six days, at noon, with prompts."""
    pipeline = Pipeline(clickhouse, old)
    for partition in (0, 1):
        events = [
            call(
                f"e{partition}-{day}-{n}",
                f"team-{n % 2}",
                1000 * (day + 1) + n,
                occurred_at=(NOON + timedelta(days=day, minutes=n)).isoformat(),
                prompt_hash="same",
            )
            for day in range(DAYS)
            for n in range(4)
        ]
        events.append(call(f"other-{partition}", "team-0", 5, model="unknown"))
        for half in (events[:18], events[18:]):  # within a day: two ranges, and one minute in both
            pipeline.both(partition, *half)
    return pipeline


def apply(pipeline, book, where=ALL, journal=None, max_payload=ROOMY) -> int:
    repricer = Repricer(
        pipeline.clickhouse,
        journal or Journal(pipeline),
        book,
        "test",
        max_payload,
        lambda _: None,
    )
    return asyncio.run(repricer.apply(where))


COUNTS = "SELECT team, minute, sum(calls), sum(input_tokens) FROM spend GROUP BY 1, 2 ORDER BY 1, 2"
TOKENS = [1000 * (day + 1) + n for day in range(3, DAYS) for n in range(4)]
"""Of a partition's calls after the price changed: from the 13th of March on."""
MORE = 2 * sum(TOKENS) * 500_000
"""What they cost more: half a dollar for a million tokens."""


def ledger_total(pipeline) -> int:
    ((cost,),) = pipeline.clickhouse.query("SELECT sum(cost) FROM spend")
    return int(cost.scaleb(12))


def agree(pipeline) -> bool:
    return reconcile(pipeline.clickhouse, pipeline.guard()).ok


def test_the_preview_says_what_would_change_and_changes_nothing(pipeline, new):
    before = ledger_total(pipeline)
    found = preview(pipeline.clickhouse, new, ALL)
    tokens = {team: sum(t for t in TOKENS if t % 2 == team) * 2 for team in (0, 1)}
    assert found.changes == {
        What(f"team-{team}", "own", "unit", OLD, NEW): Change(
            12, tokens[team] * 10**6, tokens[team] * 1_500_000
        )
        for team in (0, 1)
    }
    assert (found.calls, found.differing, dict(found.pending)) == (50, 0, {})
    assert found.total.difference == MORE
    assert ledger_total(pipeline) == before
    assert preview(pipeline.clickhouse, new, Scope(FIRST, FIRST + timedelta(days=2))).empty


@pytest.mark.parametrize(("chunk", "rows", "payload"), [(10**6, 10**4, ROOMY), (40, 8, 1)])
def test_archive_and_ledger_get_the_new_prices_once(
    pipeline, new, monkeypatch, chunk, rows, payload
):
    monkeypatch.setattr(scope, "CHUNK_EVENTS", chunk)
    monkeypatch.setattr(pending, "PART_ROWS", rows)
    monkeypatch.setattr(pending, "ROUND_ROWS", rows + 2)
    before = ledger_total(pipeline)
    calls = pipeline.clickhouse.query(COUNTS)
    journal = Journal(pipeline)
    assert apply(pipeline, new, journal=journal, max_payload=payload) == len(journal.sent)
    assert (len(journal.sent) == 2) == (chunk > 40)
    assert ledger_total(pipeline) == before + MORE
    assert agree(pipeline)
    assert calls == pipeline.clickhouse.query(COUNTS)
    for headers, payload_sent in journal.sent:
        assert sum(decode_entry(headers, payload_sent).rows["calls"].to_pylist()) == 0
    assert preview(pipeline.clickhouse, new, ALL).empty
    assert apply(pipeline, new) == 0
    assert pipeline.clickhouse.query(
        "SELECT sum(restated_calls), sum(restated_cost), any(month) FROM restated_spend"
    ) == [(0, Decimal(MORE).scaleb(-12), date(2026, 3, 1))]
    assert pipeline.clickhouse.query("SELECT DISTINCT reason, note FROM adjusted_spend") == [
        ("repricing", "test")
    ]


def test_of_an_event_that_was_rated_anew_the_last_row_counts_read_and_merged(clickhouse, old, new):
    pipeline = Pipeline(clickhouse, old)
    now = datetime.now(UTC)  # prompts that are older than 40 days are removed
    for n in range(4):
        at = {"occurred_at": now.isoformat(), "prompt_hash": "same"}
        pipeline.both(0, call(f"e{n}", "team-0", 1000, **at))
    queries = (
        "SELECT count(), uniqExact(event_id), sum(cost_pico) FROM usage_events FINAL",
        "SELECT count(), sum(input_tokens), sum(cost_pico) FROM prompts FINAL",
        "SELECT calls, cost FROM spend_by_team",
    )
    for table in ("usage_events", "prompts"):
        clickhouse.command(f"SYSTEM STOP MERGES {table}")
    days = Scope(now.date(), now.date())
    for book, price in ((new, 1_500_000), (old, 10**6), (new, 1_500_000)):
        apply(pipeline, book, days)
        cost = 4000 * price
        expected = [(4, 4, cost), (4, 4000, cost), (4, Decimal(cost).scaleb(-12))]
        assert [clickhouse.query(query)[0] for query in queries] == expected
    assert clickhouse.query("SELECT count() FROM usage_events") == [(4 * 4,)]
    for table in ("usage_events", "prompts"):
        clickhouse.command(f"SYSTEM START MERGES {table}")
        clickhouse.command(f"OPTIMIZE TABLE {table} FINAL")
        assert clickhouse.query(f"SELECT count() FROM {table}") == [(4,)]
    assert [clickhouse.query(query)[0] for query in queries] == expected


@pytest.mark.parametrize("sent", [0, 2])
def test_cut_off_anywhere_it_is_completed_by_the_next_run(pipeline, new, monkeypatch, sent):
    monkeypatch.setattr(scope, "CHUNK_EVENTS", 20)
    before = ledger_total(pipeline)
    with pytest.raises(CutOff):
        apply(pipeline, new, journal=Journal(pipeline, sent))
    assert not agree(pipeline)
    verdict = reconcile(pipeline.clickhouse, pipeline.guard())
    assert {e.cause for e in verdict.explanations} == {Cause.RATED_DIFFERENTLY}
    assert verdict.unplaced == ()
    found = preview(pipeline.clickhouse, new, ALL)
    due = before + MORE - ledger_total(pipeline)
    assert found.total.difference + found.pending.total() == due
    apply(pipeline, new)
    assert ledger_total(pipeline) == before + MORE
    assert agree(pipeline)


def test_of_two_at_the_same_time_one_counts(pipeline, new):
    before = ledger_total(pipeline)
    first = Journal(pipeline)
    apply(pipeline, new, Scope(FIRST, FIRST + timedelta(days=4)), journal=first)
    narrow = ledger_total(pipeline)
    for headers, payload in first.sent:  # the other had worked out the same, and is late
        first.append(headers, payload)
    assert ledger_total(pipeline) == narrow
    apply(pipeline, new)
    assert ledger_total(pipeline) == before + MORE


def test_only_what_is_named_is_repriced(pipeline, new):
    before = ledger_total(pipeline)
    apply(pipeline, new, Scope(ALL.first, ALL.last, "unit", "own", "team-1"))
    assert ledger_total(pipeline) == before + 2 * sum(t for t in TOKENS if t % 2) * 500_000
    assert agree(pipeline)


def test_calls_get_a_price_that_had_none_and_lose_it(pipeline, old, tmp_path):
    text = PRICES + PRICES.removeprefix("\nprices:\n").replace("unit", "unknown")
    before = ledger_total(pipeline)
    found = preview(pipeline.clickhouse, book_of(tmp_path, text), ALL)
    assert (found.total.calls, found.total.newly_priced, found.total.difference) == (2, 2, 10**7)
    apply(pipeline, book_of(tmp_path, text))
    assert ledger_total(pipeline) == before + 10**7
    assert agree(pipeline)
    found = preview(pipeline.clickhouse, old, ALL)
    assert (found.total.no_longer_priced, found.total.difference) == (2, -(10**7))
    apply(pipeline, old)
    assert ledger_total(pipeline) == before
    assert agree(pipeline)


def test_what_the_ledger_counted_wrongly_is_not_hidden(pipeline, new):
    pipeline.clickhouse.command("DELETE FROM spend WHERE partition = 0 AND input_tokens = 6003")
    before = ledger_total(pipeline)
    assert preview(pipeline.clickhouse, new, ALL).differing == 1
    with pytest.raises(NotOnlyPrices, match="spendstream reconcile"):
        apply(pipeline, new)
    assert ledger_total(pipeline) == before
    assert apply(pipeline, new, Scope(FIRST, FIRST + timedelta(days=3))) == 2


def test_a_repeat_that_comes_after_a_repricing_is_taken_back_in_its_own_range(pipeline, new):
    apply(pipeline, new)
    before = ledger_total(pipeline)
    pipeline.book = new
    at = (NOON + timedelta(days=5, minutes=3)).isoformat()
    again = call("e1-5-3", "team-1", 6003, occurred_at=at, prompt_hash="same")
    records = pipeline.records(0, again)
    pipeline.land(records)
    pipeline.archive(records)
    evidence = Evidence(complete=True, repeats=(("e1-5-3", "there"),))
    verdict = reconcile(
        pipeline.clickhouse, None, lambda found: [explain(d, evidence) for d in found]
    )
    ((difference, cause),) = [(e.difference, e.cause) for e in verdict.explanations]
    # Which of the two the archive keeps does not matter: the other one's range is named.
    assert (difference.figures.calls, cause) == (-1, Cause.LATE_DUPLICATE)
    assert verdict.unplaced == ()
    for adjustment, payload in adjustments(verdict.explanations[0], ROOMY):
        Journal(pipeline).append(adjustment_headers("test", adjustment), payload)
    assert ledger_total(pipeline) == before
    assert agree(pipeline)


def test_a_model_without_calls_is_refused_with_a_close_name(pipeline):
    with pytest.raises(UserError, match=r"--model: .* 'Unit'; did you mean unit\?"):
        check_names(pipeline.clickhouse, Scope(ALL.first, ALL.last, "Unit"))
    with pytest.raises(UserError, match=r"--team: .*; did you mean team-"):
        check_names(pipeline.clickhouse, Scope(ALL.first, ALL.last, team="team"))
    check_names(pipeline.clickhouse, Scope(ALL.first, ALL.last, "unit", "own", "team-0"))
    with pytest.raises(UserError, match="no calls at all"):
        check_names(pipeline.clickhouse, Scope(date(2020, 1, 1), date(2020, 1, 2), "unit"))
