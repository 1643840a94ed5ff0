"""Overlapping counts into disjoint buckets."""

from __future__ import annotations

from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS, OUTPUT_BUCKETS
from streams.otel.tokens import Reported, buckets

COUNTS = st.none() | st.integers(0, 5_000)
ANY = st.builds(Reported, **{field.name: COUNTS for field in fields(Reported)})


def test_cached_and_reasoning_are_parts_by_the_conventions():
    reported = Reported(1200, 300, 1500, cache_read=1000, reasoning=200)
    assert buckets(reported) == {
        "input_tokens": 200,
        "cache_read_tokens": 1000,
        "output_tokens": 100,
        "reasoning_tokens": 200,
        "total_tokens": 1500,
    }


def test_more_cached_than_input_is_beside_it():
    found = buckets(Reported(12, 40, 52, cache_read=1000, cache_write=7))
    assert found == {
        "input_tokens": 12,
        "cache_read_tokens": 1000,
        "cache_write_5m_tokens": 7,
        "output_tokens": 40,
    }


def test_a_total_that_only_adds_up_with_the_cached_beside_the_input_decides():
    assert buckets(Reported(500, 40, 640, cache_read=100))["input_tokens"] == 500
    assert buckets(Reported(500, 40, 540, cache_read=100))["input_tokens"] == 400


def test_what_the_service_says_decides_before_the_numbers():
    reported = Reported(500, 40, cache_read=100)
    assert buckets(reported)["input_tokens"] == 400
    assert buckets(reported, "excluded")["input_tokens"] == 500
    assert buckets(replace(reported, total=640), "included")["input_tokens"] == 400


def test_included_that_cannot_be_is_not_believed():
    assert buckets(Reported(12, 4, cache_read=100), "included")["input_tokens"] == 12


def test_reasoning_beside_the_output_is_told_by_the_numbers():
    assert buckets(Reported(10, 20, reasoning=30))["output_tokens"] == 20
    assert buckets(Reported(10, 50, 80, reasoning=20)) == {
        "input_tokens": 10,
        "output_tokens": 50,
        "reasoning_tokens": 20,
        "total_tokens": 80,
    }


def test_uncached_that_is_told_apart_is_the_input():
    found = buckets(Reported(9191, 93, 9284, cache_read=4429, cache_write=4761, uncached=1))
    assert (found["input_tokens"], found["total_tokens"]) == (1, 9284)


def test_audio_is_told_from_text_where_it_fits():
    fits = buckets(Reported(100, 50, input_audio=30, input_image=20, output_audio=45))
    assert (fits["input_tokens"], fits["input_audio_tokens"]) == (50, 30)
    assert (fits["output_tokens"], fits["output_audio_tokens"]) == (5, 45)
    beside_cached = buckets(Reported(100, cache_read=90, input_audio=30))
    assert beside_cached == {"input_tokens": 10, "cache_read_tokens": 90}


def test_unknown_is_left_out_and_all_zero_is_unknown():
    assert buckets(Reported(total=70)) == {}
    assert buckets(Reported(0, 0, 0, cache_read=0)) == {}
    assert buckets(Reported(7, 0)) == {"input_tokens": 7, "output_tokens": 0}
    assert buckets(Reported(output=7)) == {"output_tokens": 7}


@settings(max_examples=150)
@given(ANY)
def test_no_token_is_made_up_or_counted_twice(reported):
    found = buckets(reported)
    given_names = found.keys() & set(BUCKET_NAMES)
    assert all(found[name] >= 0 for name in given_names)
    prompt = sum(found.get(name, 0) for name in INPUT_BUCKETS)
    answer = sum(found.get(name, 0) for name in OUTPUT_BUCKETS)
    assert prompt <= max(reported.input or 0, reported.uncached or 0) + reported.cached
    assert answer <= (reported.output or 0) + (reported.reasoning or 0)
    if found:
        cached = found.get("cache_read_tokens", 0) + found.get("cache_write_5m_tokens", 0)
        assert cached == reported.cached
        assert prompt >= (reported.input or 0) or reported.uncached is not None
    if "total_tokens" in found:
        assert found["total_tokens"] == reported.total == prompt + answer
