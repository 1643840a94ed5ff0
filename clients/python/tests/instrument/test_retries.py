"""The budget for retries, and when and how long a policy waits."""

from __future__ import annotations

import email.utils
import time

import httpx2
import pytest
import spendstream
from spendstream.retries import LONGEST_WAIT_SECONDS, RetryPolicy, retry_after


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_budget_grants_its_share_of_the_requests():
    budget = spendstream.RetryBudget(ratio=0.1, min_per_second=0, clock=Clock())
    for _ in range(9):
        budget.deposit()
    assert not budget.withdraw()
    for _ in range(21):
        budget.deposit()
    assert [budget.withdraw() for _ in range(4)] == [True, True, True, False]
    assert budget.balance == 0


def test_a_budget_has_a_reserve_for_those_with_few_requests():
    clock = Clock()
    budget = spendstream.RetryBudget(ratio=0, min_per_second=0.2, clock=clock)
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    clock.now += 9
    assert not budget.withdraw()
    clock.now += 1
    assert budget.withdraw()


def test_requests_of_ten_seconds_ago_no_longer_count():
    clock = Clock()
    budget = spendstream.RetryBudget(ratio=1, min_per_second=0, clock=clock)
    budget.deposit()
    clock.now += 9.9
    assert budget.balance == 1
    clock.now += 0.1
    assert budget.balance == 0


@pytest.mark.parametrize("wrong", [{"ratio": -0.1}, {"min_per_second": float("nan")}])
def test_a_wrong_budget_is_an_error_at_once(wrong):
    with pytest.raises(ValueError, match="it must be 0 or more"):
        spendstream.RetryBudget(**wrong)


def test_waits_are_random_below_a_limit_that_doubles():
    policy = RetryPolicy(max_retries=9, base=0.5, cap=3)
    policy.budget._reserve = 10_000
    for retries, most in enumerate([0.5, 1, 2, 3, 3]):
        waits = [policy.wait_after(retries) for _ in range(200)]
        assert 0 <= min(waits) < most / 4
        assert most * 3 / 4 < max(waits) <= most


def test_retry_after_is_waited_for_and_more():
    policy = RetryPolicy(base=0.5)
    assert 3 <= policy.wait_after(0, {"retry-after": "3"}) <= 3.5
    too_long = {"retry-after": str(LONGEST_WAIT_SECONDS + 1)}
    balance = policy.budget.balance
    assert policy.wait_after(0, too_long) is None
    assert policy.budget.balance == balance


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_a_retry_after_is_read_in_each_of_its_forms(headers, seconds):
    assert retry_after(headers) == seconds


def test_a_retry_after_may_be_a_date():
    headers = {"retry-after": email.utils.formatdate(time.time() + 60, usegmt=True)}
    assert 58 < retry_after(headers) <= 60


class Client:
    """What retrying needs of an official client; answers come from the list, errors are raised."""

    max_retries = 2

    def __init__(self, *answers):
        self.answers = list(answers)
        self._client = httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return httpx2.Response(status, headers=headers)

    def ask(self, **body):
        return self._client.post("http://gateway.test/v1/responses", **(body or {"json": {}}))


@pytest.mark.parametrize(
    ("answers", "status", "left"),
    [
        ([429, 500, 200], 200, 0),
        ([503, 503, 503, 200], 503, 1),
        ([400, 200], 400, 1),
        ([(503, {"x-should-retry": "false"}), 200], 503, 1),
        ([(400, {"x-should-retry": "true"}), 200], 200, 0),
        ([httpx2.ConnectError("refused"), httpx2.ReadTimeout("late"), 200], 200, 0),
    ],
)
def test_what_may_pass_is_tried_again_and_the_rest_is_not(answers, status, left):
    client = spendstream.retrying(Client(*answers), base=0)
    assert client.max_retries == 0
    assert client.ask().status_code == status
    assert len(client.answers) == left


def test_what_was_never_sent_is_raised_at_once():
    client = spendstream.retrying(Client(httpx2.UnsupportedProtocol("ftp"), 200), base=0)
    with pytest.raises(httpx2.UnsupportedProtocol):
        client.ask()


def test_an_upload_is_sent_once():
    client = spendstream.retrying(Client(503, 200), base=0)
    assert client.ask(files={"file": b"data"}).status_code == 503


def test_retrying_twice_takes_the_later_settings():
    client = spendstream.retrying(Client(503, 503, 200), max_retries=5, base=0)
    assert spendstream.retrying(client, max_retries=1, base=0).ask().status_code == 503
    assert client.answers == [200]
