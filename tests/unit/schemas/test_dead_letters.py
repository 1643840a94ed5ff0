"""What a dead letter is called, and when it was written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from schemas.dead_letters import Letter, record_time

LETTER = Letter("cluster/llm.usage", 3, 17, None, b"\x07", (), None, "unknown_framing", "")


def test_the_id_of_a_letter_follows_from_where_it_stood_and_from_nothing_else():
    assert LETTER.letter == "731e4e5aac21b210"
    landed_anew = replace(LETTER, value=b"", key=b"k", reason="empty_value", detail="no value")
    assert landed_anew.letter == LETTER.letter


@pytest.mark.parametrize(
    "elsewhere", [{"source": "other/llm.usage"}, {"partition": 31, "offset": 7}, {"offset": 18}]
)
def test_letters_from_different_places_have_different_ids(elsewhere):
    assert replace(LETTER, **elsewhere).letter != LETTER.letter


def test_the_time_of_a_record_is_exact_to_the_millisecond():
    assert record_time(1_793_534_400_007) == datetime(2026, 11, 1, 12, 0, 0, 7000, tzinfo=UTC)


@pytest.mark.parametrize("milliseconds", [-1, 2**62, 7_258_118_400_000])
def test_a_number_that_is_no_time_is_none(milliseconds):
    assert record_time(milliseconds) is None
