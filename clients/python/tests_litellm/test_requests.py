"""Attempts, attribution, settings, verdicts and flights, each by itself."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import spendstream
from litellm.proxy._types import ProxyException
from spendstream.litellm import Handler
from spendstream.litellm._attribution import Attribution
from spendstream.litellm._event import answered
from spendstream.litellm._flights import Flights, flight_key
from spendstream.litellm._gate import Deployed, Gate, Refused, Verdict
from spendstream.litellm._settings import Misconfigured, Settings
from spendstream.litellm._ticket import Ticket, attach, metadata_of, ticket_of
from spendstream.litellm._tiers import TierChoice
from spendstream.quota import Decision

NOWHERE = {"SPENDSTREAM_URL": "http://127.0.0.1:9", "SPENDSTREAM_QUOTAS": "off"}
TIERS = """
tiers:
  cost-optimised: {openai: mini, "*": tiny}
  balanced: {openai: middle}
  frontier: {openai: large}
"""


def test_attempts_are_numbered_and_each_names_the_one_before() -> None:
    ticket = Ticket("large")
    assert ticket.begin("first") is None
    first = ticket.end(succeeded=False)
    assert ticket.begin("second") is None
    second = ticket.end(succeeded=True)
    assert first is not None
    assert second is not None
    assert (first.number, first.retry_of) == (1, None)
    assert (second.number, second.retry_of) == (2, first.event_id)


def test_what_is_told_twice_is_one_attempt() -> None:
    ticket = Ticket()
    ticket.begin("first")
    assert ticket.end(succeeded=False) is not None
    assert ticket.end(succeeded=False) is None
    ticket.begin("second")
    assert ticket.end(succeeded=True) is not None
    assert ticket.end(succeeded=True) is None
    assert ticket.end(succeeded=False) is None


def test_a_call_inside_of_an_attempt_is_no_attempt_and_a_lost_end_is_found() -> None:
    ticket = Ticket()
    ticket.begin("first")
    assert ticket.begin("first") is None
    assert ticket.attempts == 1
    lost = ticket.begin("second")
    assert lost is not None
    assert lost.number == 1


def test_a_ticket_survives_copies_of_its_metadata_and_is_text_in_json() -> None:
    request: dict[str, Any] = {"metadata": {"user_api_key": "k"}}
    ticket = Ticket()
    attach(ticket, request)
    assert ticket_of(copy.deepcopy(request)) is ticket
    assert json.loads(json.dumps(request))["metadata"]["spendstream"] == str(ticket)


def test_a_ticket_that_a_client_made_up_is_none() -> None:
    assert ticket_of({"metadata": {"spendstream": "mine"}}) is None


def test_the_metadata_with_the_ticket_wins_over_one_that_was_put_beside_it() -> None:
    ticket = Ticket()
    told = {"metadata": {"client_disconnected": True}, "litellm_params": {"metadata": {"a": 1}}}
    told["litellm_params"]["metadata"]["spendstream"] = ticket  # type: ignore[assignment]
    assert metadata_of(told)["a"] == 1


def test_a_team_a_user_and_an_end_user_are_named_by_the_key() -> None:
    metadata = {
        "user_api_key_team_id": "t1",
        "user_api_key_team_alias": "search",
        "user_api_key_user_id": "ann",
        "user_api_key_end_user_id": "customer 7",
        "user_api_key_alias": "batch",
        "requester_metadata": {"run": 42},
        "tags": ["step:plan", "nightly"],
    }
    standard = Attribution.parse("", {"team": "unattributed"})
    assert standard.of(metadata) == {"team": "search", "user": "ann", "customer": "customer 7"}
    assert standard.of({}) == {"team": "unattributed"}
    said = (
        "application=key_alias, workflow=metadata.run, use_case=tag.step|key_alias, user=user_email"
    )
    own = Attribution.parse(said, {"team": "unattributed"})
    assert own.of(metadata) == {
        "team": "search",
        "customer": "customer 7",
        "application": "batch",
        "workflow": "42",
        "use_case": "plan",
    }


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SPENDSTREAM_URL": ""}, "SPENDSTREAM_URL is not set"),
        ({"SPENDSTREAM_QUOTA_FAIL": "maybe"}, "SPENDSTREAM_QUOTA_FAIL is 'maybe'; open or closed"),
        ({"SPENDSTREAM_COALESCE": "1"}, "SPENDSTREAM_COALESCE is '1'; on or off"),
        ({"SPENDSTREAM_TIERS": "/none/tiers.yaml"}, "SPENDSTREAM_TIERS: /none/tiers.yaml: No such"),
        ({"SPENDSTREAM_LITELLM_FIELDS": "teem=x"}, "SPENDSTREAM_LITELLM_FIELDS: 'teem' is no attr"),
        ({"SPENDSTREAM_LITELLM_FIELDS": "team=x"}, "SPENDSTREAM_LITELLM_FIELDS: 'x' is no source"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(settings: dict[str, str], says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_environment(NOWHERE | settings)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def a_gate(tmp_path: Path, decision: Decision, groups: str = "mini tiny middle large") -> Gate:
    file = tmp_path / "tiers.yaml"
    file.write_text(TIERS)
    known = groups.split()
    return Gate(
        lambda **_: decision,
        TierChoice.from_file(file),
        lambda group: Deployed("openai", f"gpt-{group}") if group in known else None,
    )


def degrade(tier: str) -> Decision:
    return Decision(True, tier, "Budget b is nearly used up.", "b", None, known=True)


@pytest.mark.parametrize(
    ("asked", "tier", "expected"),
    [
        ("large", "balanced", "middle"),
        ("large", "cost-optimised", "mini"),
        ("middle", "balanced", None),
        ("mini", "balanced", None),
        ("in no tier", "balanced", "middle"),
    ],
)
def test_a_degraded_call_goes_to_the_tier_unless_it_is_as_cheap_already(
    tmp_path: Path, asked: str, tier: str, expected: str | None
) -> None:
    gate = a_gate(tmp_path, degrade(tier), "mini tiny middle large in no tier")
    gate._catalogue["in no tier"] = (float("inf"), Deployed("openai", "other"))
    verdict = gate.judge({}, {"model": asked}, "acompletion")
    assert verdict.group == expected
    assert verdict.reason == "Budget b is nearly used up."


def test_a_call_whose_answer_no_other_model_can_give_is_not_degraded(tmp_path: Path) -> None:
    gate = a_gate(tmp_path, degrade("cost-optimised"))
    assert gate.judge({}, {"model": "large"}, "aembedding") == Verdict()


def test_a_tier_that_the_proxy_has_no_group_for_leaves_the_call_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = a_gate(tmp_path, degrade("cost-optimised"), "large")
    verdict = gate.judge({}, {"model": "large"}, "acompletion")
    assert verdict.group is None
    assert verdict.reason is not None
    assert "left as it is" in verdict.reason
    gate.judge({}, {"model": "large"}, "acompletion")
    assert caplog.text.count("'mini'") == 1


def test_a_refusal_says_when_to_come_back(tmp_path: Path) -> None:
    resets = datetime.now(UTC) + timedelta(minutes=90)
    no = Decision(False, None, "Budget b is used up.", "b", resets, known=True)
    with pytest.raises(Refused) as caught:
        a_gate(tmp_path, no).judge({}, {"model": "large"}, "acompletion")
    assert caught.value.retry_after is not None
    assert 5390 < caught.value.retry_after <= 5400


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_while_nobody_knows_the_quotas_the_setting_decides_and_each_answer_says_so(
    fail: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    handler = Handler(
        Settings.from_environment({"SPENDSTREAM_URL": url, "SPENDSTREAM_QUOTA_FAIL": fail})
    )
    try:
        requests: list[dict[str, Any]] = [{"model": "m", "metadata": {}} for _ in range(3)]
        for request in requests:
            if fail == "open":
                data = await handler.async_pre_call_hook(None, None, request, "acompletion")
                headers = await handler.async_post_call_response_headers_hook(data, None, None)
                assert headers is not None
                assert "calls are allowed meanwhile (fail=open)" in headers["x-spendstream-reason"]
            else:
                with pytest.raises(ProxyException, match=r"refused meanwhile .fail=closed") as no:
                    await handler.async_pre_call_hook(None, None, request, "acompletion")
                assert no.value.code == "429"
        assert caplog.text.count("meanwhile") == 1
    finally:
        assert handler.quotas is not None
        handler.quotas.close()
        handler.emitter.close(0.1)


async def test_of_identical_requests_one_flies_and_the_others_wait() -> None:
    flights = Flights()
    leader = await flights.join("a")
    assert leader is not None
    assert await flights.join("b") is not None
    waiting = [asyncio.create_task(flights.join("a")) for _ in range(3)]
    await asyncio.sleep(0)
    assert not [task for task in waiting if task.done()]
    flights.end(leader, answered=True)
    assert await asyncio.gather(*waiting) == [None, None, None]
    assert await flights.join("a") is not None


async def test_after_a_failure_one_of_those_that_wait_flies_next() -> None:
    flights = Flights()
    leader = await flights.join("a")
    waiting = [asyncio.create_task(flights.join("a")) for _ in range(3)]
    await asyncio.sleep(0)
    assert leader is not None
    flights.end(leader, answered=False)
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (second,) = {task.result() for task in done}
    assert second is not None
    flights.end(second, answered=True)
    rest = await asyncio.gather(*(task for task in waiting if task not in done))
    assert rest == [None, None]


async def test_nobody_waits_for_ever() -> None:
    flights = Flights(wait_seconds=0.01)
    assert await flights.join("a") is not None
    assert await flights.join("a") is None
    assert await flights.join("a") is not None, "the lost one is still waited for"


def test_requests_are_identical_by_what_they_ask_for_and_for_whom() -> None:
    def key(who: str = "search", cached: bool = True, **more: Any) -> str | None:
        data = {"model": "m", "messages": [{"role": "user", "content": "?"}]} | more
        return flight_key(data, who, cached=cached)

    same = key()
    assert same is not None
    assert same == key(litellm_call_id="another", metadata={"tags": ["x"]})
    different = {key(temperature=1), key(model="n"), key("support"), key(messages=[])}
    assert same not in different
    assert len(different) == 4
    assert key(stream=True) is None
    assert key(cached=False) is None
    assert key(cached=False, cache={"use-cache": True}) is not None
    assert key(cache={"no-cache": True}) is None


def test_the_package_does_not_import_litellm_by_itself() -> None:
    code = "import sys, spendstream, spendstream.litellm; print('litellm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert spendstream.__all__


def test_what_stays_of_a_prompt_is_told_with_its_share_of_the_tokens() -> None:
    def event(question: str, **more: Any) -> spendstream.UsageFields:
        system = {"role": "system", "content": "y" * 40}
        messages = [system, {"role": "user", "content": question}]
        ticket = Ticket("large", {"messages": messages, **more})
        ticket.begin("first", "openai", "gpt-4o")
        attempt = ticket.end(succeeded=True)
        assert attempt is not None
        response = {"usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}}
        return answered(
            ticket, attempt, {}, response, None, Attribution.parse("", {"team": "search"})
        )

    first, second = event("x" * 40), event("z" * 40)
    assert first["prompt_hash"] != second["prompt_hash"]
    assert first["prefix_hash"] == second["prefix_hash"]
    assert first["prefix_tokens"] == second["prefix_tokens"] == 6
    kept = event("x" * 40, previous_response_id="resp_1")
    assert kept["prefix_hash"] == first["prefix_hash"]
    assert kept["prefix_tokens"] is None
    assert kept["prompt_hash"] == first["prompt_hash"]
