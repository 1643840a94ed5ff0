"""Laws of decoding: what is encoded comes back, and the batch decoder is the single decoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from fastavro import schemaless_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.avro_files import newest_usage_schema
from schemas.batch import INDEX, decode_batch, events_frame
from schemas.errors import InvalidEvent, Refusal
from schemas.usage import UsageEvent
from schemas.wire import SINGLE_OBJECT_MAGIC, decode, encode_json
from tests.corpus import lookup, valid_examples
from tests.property.strategies import broken_bytes, fields_near_the_rules, framed, valid_events

laws = settings(
    max_examples=60,
    deadline=None,  # the machine may be busy; the time of one example is no law
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SMALL = tuple(e.value for e in valid_examples() if len(e.value) < 1500)
GOOD = SMALL[0]
"""A value that uses the fewest columns, so that its neighbours decide which are looked at."""


def assert_decoders_agree(values: Sequence[bytes]) -> tuple[list[int], dict[int, Refusal]]:
    """Decode one by one and as a batch on both paths; the indices accepted, and the refusals."""
    accepted: dict[int, UsageEvent] = {}
    refusals: dict[int, Refusal] = {}
    for index, value in enumerate(values):
        try:
            accepted[index] = decode(value, lookup)
        except InvalidEvent as error:
            refusals[index] = error.refusal
    indices = pl.Series(INDEX, list(accepted), dtype=pl.Int64)
    wanted = events_frame(list(accepted.values())).with_columns(indices)
    for fast in (True, False):
        decoded = decode_batch(values, lookup, fast=fast)
        assert_frame_equal(decoded.events, wanted)
        assert decoded.refusals == refusals
    return list(accepted), refusals


def avro_of(fields: dict[str, Any]) -> bytes:
    """Single-object encoding of fields that no rule was asked about."""
    schema = newest_usage_schema()
    stream = BytesIO()
    schemaless_writer(stream, schema.parsed, fields)
    return SINGLE_OBJECT_MAGIC + schema.fingerprint + stream.getvalue()


@laws
@given(st.lists(valid_events(), min_size=1, max_size=3))
def test_an_event_comes_back_from_each_framing(events):
    values = [value for event in events for value in framed(event)]
    read = [decode(value, lookup) for value in values]
    assert read == [event for event in events for _ in framed(event)]
    accepted, refusals = assert_decoders_agree(values)
    assert (len(accepted), refusals) == (len(values), {})


@pytest.mark.slow
@settings(laws, max_examples=120)
@given(st.lists(broken_bytes(st.sampled_from(SMALL)), min_size=1, max_size=12))
def test_broken_bytes_are_judged_alike_and_their_neighbours_live(broken):
    values = [GOOD, *(value for bad in broken for value in (bad, GOOD))]
    accepted, _ = assert_decoders_agree(values)
    assert set(range(0, len(values), 2)) <= set(accepted)


@laws
@given(st.lists(st.binary(max_size=40), max_size=8), st.sampled_from([b"", GOOD[:10], GOOD[:25]]))
def test_noise_behind_a_good_start_is_judged_alike(noise, start):
    accepted, _ = assert_decoders_agree([GOOD, *(start + rest for rest in noise), GOOD])
    assert {0, len(noise) + 1} <= set(accepted)


@pytest.mark.slow
@laws
@given(st.lists(fields_near_the_rules(), min_size=1, max_size=6))
def test_the_columns_let_nothing_through_that_the_model_refuses(events):
    values = [avro_of(fields) for fields in events]
    assert_decoders_agree(values)
    for value in values:  # alone, other columns are in use
        assert_decoders_agree([value])


@laws
@given(valid_events())
def test_json_says_nothing_of_what_is_unknown(event):
    given = {name for name, value in event.model_dump().items() if value is not None}
    assert set(json.loads(encode_json(event))) == given
