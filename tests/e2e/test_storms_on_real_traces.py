"""The two real traces hold no storm and no outage: whatever were found in them is a false alarm."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from schemas.wire import no_registry
from streams.detectors.storms import Storms
from streams.guard.concern import Accepted, AsOf
from streams.metering.events import decoded_records
from streams.metering.rollup import rollup
from streams.rating.pricebook import PriceBook
from streams.traffic.roster import load_roster
from streams.traffic.traces import read_trace
from tests.support.ledger_rows import JOURNAL, SOURCE, covering
from tests.support.records import Record
from tests.support.storm_watch import RULE

ENTRY = 250
"""Events of one journal entry."""


def entries(trace: Path, trace_format: str) -> Iterator[Accepted]:
    """The journal entries of a trace, as the meter makes them."""
    book, position = PriceBook.load(), 0
    made = list(read_trace(trace, trace_format, load_roster()))
    records = (Record(0, offset, one.value) for offset, one in enumerate(made))
    while batch := list(islice(records, ENTRY)):
        events, refused = decoded_records(batch, book, no_registry)
        assert not refused
        rows = pl.DataFrame(rollup(events))
        at, now = AsOf(JOURNAL, position), events["occurred_at"].max()
        yield Accepted(at, SOURCE, (covering(position, position),), rows, now)
        position += 1


@pytest.mark.parametrize(
    ("name", "trace_format", "calls"),
    [
        ("azure_llm_2023_conv.csv", "azure-trace", 19_366),
        ("mooncake_conversation.jsonl", "mooncake", 12_031),
    ],
)
def test_a_real_trace_raises_no_alert(traces, name, trace_format, calls):
    storms, alerts = Storms(RULE), []
    for entry in entries(traces / name, trace_format):
        storms.apply(entry)
        alerts += storms.alerts(entry.at, entry.now)
    counted = (slot.calls for slots in storms._slots.values() for slot in slots.values())
    assert sum(counted) == calls
    assert alerts == []
