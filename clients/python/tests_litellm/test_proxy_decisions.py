"""What the hook decides in the real LiteLLM proxy, and what becomes of the calls."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal

import aiohttp
import pytest

from running import wait_until
from world import Answer, World, ask, spent, tokens_of

BOUND_SECONDS = 3.0
"""Until a verdict is felt: 0.67 s at p99 by docs/quotas.md, on cores that do nothing else."""
pytestmark = pytest.mark.timeout(600)


async def until_felt(
    world: World, team: str, limit: int, model: str, felt: Callable[[Answer], bool]
) -> tuple[float, Answer]:
    """Call until a verdict is felt: the seconds since ``limit`` was passed, and the answer."""
    passed: float | None = None
    async with aiohttp.ClientSession(world.proxy.url) as session:
        for number in range(100_000):
            answer = await ask(session, "ok", team, number, model=model)
            if felt(answer):
                assert passed is not None, f"felt before {limit} tokens were used"
                return time.monotonic() - passed, answer
            assert answer.status == 200, answer.body
            if passed is None and spent(world, team) >= limit:
                passed = time.monotonic()
            assert passed is None or time.monotonic() - passed < 10 * BOUND_SECONDS, "never felt"
    raise AssertionError("the limit was not reached")


async def test_a_team_over_its_hard_budget_is_refused_within_the_documented_bound(
    world: World,
) -> None:
    seconds, answer = await until_felt(world, "hard", 20_000, "large", lambda a: a.status == 429)
    print(f"refused {seconds:.2f} s after the budget was used up: {spent(world, 'hard')} of 20000")
    assert seconds < BOUND_SECONDS
    error = json.loads(answer.body)["error"]
    assert error["type"] == "insufficient_quota"
    assert "(budget hard)" in error["message"]
    assert "calls are refused until" in error["message"]
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-should-retry"] == "false"
    before = len(world.upstream.models["hard"])
    async with aiohttp.ClientSession(world.proxy.url) as session:
        for number in range(20):
            again = await ask(session, ("ok", "stream", "native")[number % 3], "hard", number)
            assert again.status == 429
        other = await ask(session, "ok", "search", 1, model="large")
    assert len(world.upstream.models["hard"]) == before, "a refused call reached the provider"
    assert other.status == 200
    wait_until(
        "the team's calls in ClickHouse",
        lambda: tokens_of(world, "hard") == spent(world, "hard"),
        30,
    )
    (row,) = world.stack.sql("SELECT count() AS n FROM usage WHERE team = 'hard'")
    assert row["n"] == before, "a refused call became an event"


async def test_a_team_near_its_budget_is_degraded_and_another_is_untouched(world: World) -> None:
    degraded = until_felt(
        world, "near", 20_000, "large", lambda a: "x-spendstream-tier" in a.headers
    )
    seconds, answer = await degraded
    print(f"degraded {seconds:.2f} s after half of the budget was used")
    assert seconds < BOUND_SECONDS
    assert answer.headers["x-spendstream-tier"] == "cost-optimised"
    assert "(budget near)" in answer.headers["x-spendstream-reason"]
    async with aiohttp.ClientSession(world.proxy.url) as session:
        for number in range(10):
            again = await ask(session, "stream", "near", number, model="large")
            assert again.status == 200
        untouched = await ask(session, "ok", "search", 2, model="large")
    assert set(world.upstream.models["near"][-10:]) == {"meter-small"}
    assert world.upstream.models["search"][-1] == "meter-large"
    assert not [name for name in untouched.headers if name.lower().startswith("x-spendstream")]
    wait_until(
        "the degraded calls in ClickHouse",
        lambda: tokens_of(world, "near") == spent(world, "near"),
        30,
    )
    rows = world.stack.sql(
        "SELECT model, requested_model, routing_reason LIKE '%(budget near)%' AS says, "
        "count() AS n FROM usage WHERE team = 'near' AND routing_tier = 'cost-optimised' "
        "GROUP BY model, requested_model, says"
    )
    degraded_calls = world.upstream.models["near"].count("meter-small")
    assert rows == [
        {"model": "meter-small", "requested_model": "large", "says": 1, "n": degraded_calls}
    ]


async def test_identical_requests_in_flight_are_one_call_and_the_others_cache_hits(
    world: World,
) -> None:
    world.upstream.hold()
    cached = {"cache": {"use-cache": True}}
    async with aiohttp.ClientSession(world.proxy.url) as session:
        same = [
            asyncio.create_task(ask(session, "held", "twins", 7, model="small", **cached))
            for _ in range(10)
        ]
        content = "held:twins:u-0:7"
        while world.upstream.attempts(content) == 0:  # noqa: ASYNC110 - it is in another thread
            await asyncio.sleep(0.01)
        for number in range(3):  # what was sent before has been to the hook when these are answered
            await ask(session, "ok", "twins", number, model="small")
        assert not [task for task in same if task.done()]
        world.upstream.release()
        answers = await asyncio.gather(*same)
        assert [answer.status for answer in answers] == [200] * 10
        assert world.upstream.attempts(content) == 1
    hit = "SELECT count() AS n, sum(input_tokens) AS input, toString(sum(cost)) AS usd FROM usage "
    hit += "WHERE team = 'twins' AND served_from_cache"

    paid_call = (
        "SELECT input_tokens, toString(cost) AS usd FROM usage "
        "WHERE team = 'twins' AND request_id = 'chatcmpl-7-1' "
        "AND NOT ifNull(served_from_cache, false)"
    )

    wait_until("nine cache hits", lambda: world.stack.sql(hit)[0]["n"] == 9, 30)
    wait_until("the call that was paid for", lambda: len(world.stack.sql(paid_call)) == 1, 30)
    (row,) = world.stack.sql(hit)
    (paid,) = world.stack.sql(paid_call)
    assert Decimal(row["usd"]) == 0
    assert row["input"] == 9 * paid["input_tokens"]
    (saved,) = world.stack.sql(
        "SELECT toString(sum(saved)) AS usd FROM cache_savings WHERE team = 'twins'"
    )
    assert Decimal(saved["usd"]) == 9 * Decimal(paid["usd"]) > 0


async def first_line(session: aiohttp.ClientSession, plan: str, world: World) -> bytes:
    """Begin a stream that the provider does not go on with; what it said until it was let go on."""
    world.upstream.hold()
    body = {
        "model": "small",
        "stream": True,
        "messages": [{"role": "user", "content": f"{plan}:{plan}:u-0:1"}],
    }
    headers = {"authorization": f"Bearer sk-{plan}-u-0"}
    async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
        line = await response.content.readline()
        if plan == "broken":
            world.upstream.release()
            line += await response.content.read()
        return line


@pytest.mark.parametrize(("plan", "status"), [("left", "cancelled"), ("broken", "error")])
async def test_a_stream_that_is_not_heard_to_its_end_has_estimated_tokens(
    world: World, plan: str, status: str
) -> None:
    async with aiohttp.ClientSession(world.proxy.url) as session:
        assert b"word0" in await first_line(session, plan, world)
    query = "SELECT status, usage_source, user, input_tokens > 0 AS some FROM usage "
    query += f"WHERE team = '{plan}'"
    wait_until(f"the call that was {plan}", lambda: bool(world.stack.sql(query)), 30)
    world.upstream.release()
    assert world.stack.sql(query) == [
        {"status": status, "usage_source": "estimated", "user": "u-0", "some": 1}
    ]
