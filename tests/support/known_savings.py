"""A month in which it is known what could be saved: 10 % duplicate requests, 30 % of calls that
repeat a prefix, 65 % of calls that would do on the small model.

What the truth is: `tests.support.known_savings_truth`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.journal import Counted, SourcePartition
from schemas.outcome import checked_outcome
from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from sinks.archive import Archive, Landed
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.outcomes import Outcomes, Read, Reported
from streams.landing.archive import archive_rows
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.support.ledger_rows import JOURNAL, SOURCE
from tests.support.records import Record

START = datetime(2026, 11, 1, tzinfo=UTC)
SESSIONS, CALLS = 400, 10
APART, GAP = timedelta(minutes=107), timedelta(seconds=50)
PREFIX = 4000
TEAMS = ("search", "support", "claims", "agents")
RATES = {
    # Model → USD per million tokens: input, cache read, cache write, output.
    "large": (Decimal("3"), Decimal("0.3"), Decimal("3.75"), Decimal("15")),
    "small": (Decimal("0.6"), Decimal("0.06"), Decimal("0.75"), Decimal("3")),
}
PRICES = """
prices:
  - provider: own
    model: large
    effective_from: 2020-01-01
    usd_per_million_tokens: {input: 3, cache_read: 0.3, cache_write_5m: 3.75, output: 15}
  - provider: own
    model: small
    effective_from: 2020-01-01
    usd_per_million_tokens: {input: 0.6, cache_read: 0.06, cache_write_5m: 0.75, output: 3}
"""
Event = dict[str, Any]


@dataclass
class Month:
    """``events`` in the order of time; ``small_output``: tokens that the small model would have
    answered a call with; ``scores``: quality by event id."""

    events: list[Event] = field(default_factory=list)
    small_output: dict[str, int] = field(default_factory=dict)
    scores: dict[str, Decimal] = field(default_factory=dict)

    @property
    def calls(self) -> list[Event]:
        """What counts: no shadows, and nothing that a void took back."""
        voided = {event["voids"] for event in self.events if event.get("kind") == "void"}
        return [
            event
            for event in self.events
            if event.get("kind") != "void"
            and "shadow_of" not in event
            and event["event_id"] not in voided
        ]


def known_month(seed: int = 11) -> Month:
    """Sessions of ten calls, of one team and use case each."""
    dice, month = random.Random(seed), Month()
    for session in range(SESSIONS):
        for number in range(CALLS):
            for event in _asked(dice, month, session, number):
                _shadow(dice, month, event)
    month.events += _oddities(month)
    month.events.sort(key=lambda event: (event["occurred_at"], event["event_id"]))
    return month


def _asked(dice: random.Random, month: Month, session: int, number: int) -> Iterator[Event]:
    """A call, and its retries where it fails."""
    extra = dice.randrange(200, 3000)
    prompt = f"p{session}-{number}"
    if number == 7:  # one call in ten: asked minutes, or five hours before
        prompt = f"p{session}-3" if session % 2 else f"p{max(session - 8, 0)}-2"
    if number == 5 and session % 20 == 0:
        prompt = f"p{session - 16}-5"  # more than a day before: no duplicate
    prefix = session % 3 == 0  # of ten calls, nine repeat it
    fields: Event = {
        "occurred_at": START + session * APART + number * GAP,
        "provider": "own",
        "model": "large",
        "team": TEAMS[session % 4],
        "department": "product" if session % 4 < 2 else "service",
        "use_case": "answers" if session % 20 < 13 else "contracts",
        "routing_tier": "frontier",
        "prompt_hash": prompt,
        "latency_ms": 900,
        "usage_source": "reported",
        "input_tokens": extra + (PREFIX if prefix else 0),
        "output_tokens": dice.randrange(50, 900),
        "workflow": f"run-{session}",
    }
    if prefix:
        fields |= {"prefix_hash": f"prefix-{session}", "prefix_tokens": PREFIX}
        if session % 9 == 0 and number > 4:  # the provider's cache did serve these
            fields |= {"cache_read_tokens": PREFIX, "input_tokens": extra}
    elif session % 50 == 1 and number == 0:  # nobody repeats it in time
        fields |= {"prefix_hash": "once", "prefix_tokens": 1500, "input_tokens": 1500 + extra}
    attempts = 1 if number == 7 else 1 + (dice.random() < 0.03) + (dice.random() < 0.01)
    for attempt in range(1, attempts + 1):
        event = {"event_id": f"e{session}-{number}-{attempt}", **fields}
        event["occurred_at"] += (attempt - 1) * timedelta(seconds=2)
        if attempt > 1:
            event |= {"attempt": attempt, "retry_of": f"e{session}-{number}-{attempt - 1}"}
        if attempt < attempts:
            event |= {"status": "timeout", "output_tokens": 40}
        month.events.append(event)
        month.small_output[event["event_id"]] = round(
            event["output_tokens"] * dice.uniform(0.9, 1.1)
        )
        yield event


def _shadow(dice: random.Random, month: Month, event: Event) -> None:
    """One call in eight is asked of the small model too; contracts are clearly worse there."""
    if dice.random() > 0.125 or event.get("status"):
        return
    name = event["event_id"]
    loss = 0.0 if event["use_case"] == "answers" else 0.2
    shadow = event | {
        "event_id": f"{name}-shadow",
        "model": "small",
        "routing_tier": "cost-optimised",
        "shadow_of": name,
        "output_tokens": month.small_output[name],
    }
    month.events.append(shadow)
    quality = Decimal(dice.randrange(70, 95)) / 100
    change = Decimal(str(round(dice.gauss(-loss, 0.05), 3)))
    month.scores |= {name: quality, shadow["event_id"]: quality + change}


def _oddities(month: Month) -> list[Event]:
    """What looks like a saving, and is none, or only in the hopeful case."""
    (first,) = (event for event in month.events if event["event_id"] == "e40-1-1")
    at, plain = first["occurred_at"], {**first, "workflow": None}
    hit = {**plain, "event_id": "hit", "served_from_cache": True, "prefix_hash": None}
    hit |= {"prefix_tokens": None, "occurred_at": at + timedelta(minutes=1)}
    taken_back = {**plain, "event_id": "gone", "occurred_at": at + timedelta(minutes=2)}
    void = {**taken_back, "event_id": "void:gone", "kind": "void", "voids": "gone"}
    # Another team asks the same, and one asks before its own answer is there.
    others = {
        **plain,
        "event_id": "others",
        "team": "claims",
        "department": "service",
        "occurred_at": at + timedelta(hours=3),
    }
    hasty = {**plain, "event_id": "hasty", "occurred_at": at + timedelta(milliseconds=400)}
    for event in (hit, taken_back, others, hasty):
        month.small_output[event["event_id"]] = event["output_tokens"]
    return [hit, taken_back, void, others, hasty]


def land(clickhouse: ClickHouse, month: Month, folder: Path) -> PriceBook:
    """Through the product's own code into ledger, archive and outcomes; the price book."""
    prices = folder / "prices.yaml"
    prices.write_text(PRICES)
    book = PriceBook.load(prices)
    values = [encode(UsageEvent.model_validate(event)) for event in month.events]
    records = [Record(0, offset, value) for offset, value in enumerate(values)]
    (draft,) = meter_batch(
        [Span(SOURCE, 0, 0, records)], {0: IdWindow(10**6)}, book, no_registry, 10**8
    ).drafts
    counted = Counted(draft.ranges, None, draft.rows)
    Ledger(clickhouse, JOURNAL).write(0, draft.ranges, counted, START + timedelta(days=30))
    decoded, refused = decoded_records(records, book, no_registry)
    assert not refused
    archive = Archive(clickhouse, SOURCE)
    landed = Landed(SourcePartition(SOURCE, 0), 0, len(records) - 1)
    archive.write(archive_rows(decoded), [landed], archive.register_source())
    reported = [
        Reported(
            checked_outcome(
                {
                    "outcome_id": f"q-{name}",
                    "occurred_at": "2026-11-30T12:00:00Z",
                    "of": name,
                    "name": "quality",
                    "value": str(score),
                }
            ),
            0,
            number,
            0,
        )
        for number, (name, score) in enumerate(month.scores.items())
    ]
    Outcomes(clickhouse, "cluster/llm.outcomes").write(reported, {0: Read(len(reported) - 1)})
    return book
