"""The cookie of a browser: what it says, and when it ends."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest

from streams.web.guesses import MOST_ADDRESSES, MOST_WRONG, WINDOW_SECONDS, Guesses
from streams.web.sessions import (
    IDLE_SECONDS,
    LONGEST_SECONDS,
    RENEW_SECONDS,
    Sessions,
    fingerprint,
)
from streams.web.tokens import sha256

DIGEST = sha256("sps_x")


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock=clock)


def test_a_cookie_says_which_token_it_is_of_and_neither_it_nor_its_hash(sessions: Sessions):
    cookie = sessions.begin(DIGEST)
    session = sessions.read(cookie)
    assert session is not None
    assert session.fingerprint == fingerprint(DIGEST)
    held = base64.urlsafe_b64decode(cookie)
    assert bytes.fromhex(DIGEST) not in held
    assert b"sps_x" not in held


def test_every_byte_of_a_cookie_is_signed(sessions: Sessions):
    held = base64.urlsafe_b64decode(sessions.begin(DIGEST))
    for index in range(len(held)):
        changed = bytearray(held)
        changed[index] ^= 1
        assert sessions.read(base64.urlsafe_b64encode(bytes(changed)).decode()) is None


@pytest.mark.parametrize("cookie", ["", "=", "ä", "AAAA", "A" * 1000, "a.b", "\x00"])
def test_what_is_no_cookie_of_ours_is_nobodys(sessions: Sessions, cookie: str):
    assert sessions.read(cookie) is None


def test_it_ends_when_it_is_left_alone(sessions: Sessions, clock: Clock):
    cookie = sessions.begin(DIGEST)
    clock.now += IDLE_SECONDS
    assert sessions.read(cookie) is not None
    clock.now += 1
    assert sessions.read(cookie) is None


def test_it_goes_on_while_it_is_used_and_ends_after_the_day(sessions: Sessions, clock: Clock):
    cookie = sessions.begin(DIGEST)
    for _ in range(LONGEST_SECONDS // IDLE_SECONDS):
        clock.now += IDLE_SECONDS
        session = sessions.read(cookie)
        assert session is not None
        cookie = sessions.renewed(session) or cookie
    clock.now += 1
    assert sessions.read(cookie) is None


def test_it_is_written_anew_once_a_minute_at_most(sessions: Sessions, clock: Clock):
    session = sessions.read(sessions.begin(DIGEST))
    assert session is not None
    clock.now += RENEW_SECONDS - 1
    assert sessions.renewed(session) is None
    clock.now += 1
    assert sessions.renewed(session) is not None


def test_who_has_signed_out_gets_in_with_no_copy_of_it(sessions: Sessions, clock: Clock):
    cookie, other = sessions.begin(DIGEST), sessions.begin(DIGEST)
    clock.now += RENEW_SECONDS
    session = sessions.read(cookie)
    assert session is not None
    copy = sessions.renewed(session)
    assert copy is not None
    sessions.end(session)
    assert [sessions.read(one) is not None for one in (cookie, copy, other)] == [
        *(False, False),
        True,
    ]


def test_stages_of_one_secret_know_each_others_cookies_and_others_do_not(clock: Clock):
    cookie = Sessions("one secret for both", clock).begin(DIGEST)
    assert Sessions("one secret for both", clock).read(cookie) is not None
    assert Sessions("another secret here", clock).read(cookie) is None
    assert Sessions(None, clock).read(cookie) is None


def test_who_is_wrong_too_often_waits_for_a_minute_and_others_do_not():
    clock = Clock()
    guesses = Guesses(clock)
    for _ in range(MOST_WRONG):
        assert guesses.wait("10.0.0.1") == 0
        guesses.wrong("10.0.0.1")
        clock.now += 1
    assert guesses.wait("10.0.0.1") == WINDOW_SECONDS - MOST_WRONG
    assert guesses.wait("10.0.0.2") == 0
    clock.now += WINDOW_SECONDS - MOST_WRONG
    assert guesses.wait("10.0.0.1") == 0


def test_addresses_that_were_wrong_do_not_fill_the_memory():
    guesses = Guesses(Clock())
    for number in range(MOST_ADDRESSES + 5):
        guesses.wrong(str(number))
    assert len(guesses._wrong) == MOST_ADDRESSES
