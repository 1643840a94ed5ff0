from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from schemas.errors import UserError
from sinks.channels import (
    LONGEST_RETRY_AFTER,
    Backoff,
    DeliveryDelayed,
    DeliveryRejected,
    check_answer,
    receiver_url,
    redacted,
    retry_after_seconds,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
URL_WITH_TOKEN = URL("https://hooks.slack.test/services/T00000000/B00000000/s3cr3tT0kenXYZ")


@pytest.mark.parametrize(("attempt", "full"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300)])
def test_the_delay_doubles_up_to_the_cap(attempt: int, full: float) -> None:
    delays = [Backoff().delay(attempt, random.Random(seed)) for seed in range(50)]
    assert all(full / 2 <= delay <= full for delay in delays)
    assert max(delays) - min(delays) > full / 4


def test_the_same_seed_gives_the_same_delays() -> None:
    one, other = random.Random(7), random.Random(7)
    backoff = Backoff()
    assert [backoff.delay(n, one) for n in range(1, 9)] == [
        backoff.delay(n, other) for n in range(1, 9)
    ]


def test_a_retry_after_wins_over_the_cap_and_the_jitter() -> None:
    assert Backoff(cap=10).delay(1, random.Random(1), retry_after=42.0) == 42.0


def test_a_receiver_that_asks_for_no_pause_gets_one_all_the_same() -> None:
    hasty = Backoff().delay(9, random.Random(1), retry_after=0.0)
    assert hasty == Backoff().delay(9, random.Random(1))
    assert hasty >= 1


@given(st.integers(min_value=1, max_value=10**7), st.integers())
def test_no_number_of_attempts_leaves_the_bounds(attempt: int, seed: int) -> None:
    assert 0.5 <= Backoff(cap=60).delay(attempt, random.Random(seed)) <= 60


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        Backoff().delay(0, random.Random(1))


@pytest.mark.parametrize(
    ("first", "factor", "cap"), [(0, 2, 1), (2, 2, 1), (1, 0.5, 9), (1, 2, float("inf"))]
)
def test_a_backoff_that_makes_no_sense_is_a_users_mistake(
    first: float, factor: float, cap: float
) -> None:
    with pytest.raises(UserError, match="would be right"):
        Backoff(first, factor, cap)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("30", 30.0),
        (" 1 ", 1.0),
        ("999999999", LONGEST_RETRY_AFTER),
        ("9" * 5000, LONGEST_RETRY_AFTER),
        ("Mon, 23 Nov 2026 12:02:00 GMT", 120.0),
        ("Mon, 23 Nov 2026 12:02:00 -0000", 120.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_header_is_an_error(header: str) -> None:
    seconds = retry_after_seconds(header, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 599])
def test_a_temporary_status_is_a_delay(status: int) -> None:
    with pytest.raises(DeliveryDelayed, match=f"answered {status}: busy") as caught:
        check_answer(status, "3", "busy", URL_WITH_TOKEN)
    assert caught.value.retry_after == 3.0


@pytest.mark.parametrize("status", [301, 304, 400, 401, 403, 404, 410, 422])
def test_any_other_status_is_a_rejection_with_advice(status: int) -> None:
    with pytest.raises(DeliveryRejected, match=f"answered {status}; look there"):
        check_answer(status, "3", "", URL_WITH_TOKEN, "look there")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_says_nothing(status: int) -> None:
    check_answer(status, None, "ok", URL_WITH_TOKEN)


def test_an_answer_is_quoted_short_on_one_line_and_without_the_url() -> None:
    body = f"<h1>No</h1>\n{URL_WITH_TOKEN.path}\n" + f"{URL_WITH_TOKEN} " * 50
    with pytest.raises(DeliveryRejected) as caught:
        check_answer(404, None, body, URL_WITH_TOKEN)
    said = str(caught.value)
    assert said.startswith("answered 404: <h1>No</h1> [hidden] [hidden]")
    assert len(said) < 350
    assert "s3cr3t" not in said
    assert "\n" not in said


def test_passwords_and_query_tokens_are_redacted_too() -> None:
    url = URL("https://joe:pw1@host.test/hook?token=abc%2Fdef-ghi&v=2")
    assert redacted("pw1, abc/def-ghi, v2", url) == "[hidden], [hidden], v2"


@pytest.mark.parametrize(
    "text",
    ["", "hooks.slack.test/services/s3cr3t", "ftp://h/s3cr3t", "https:///s3cr3t", "http://["],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UserError, match="channel ops: its URL") as caught:
        receiver_url(text, "ops")
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None
