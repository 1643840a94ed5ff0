"""Thousands of calls through the real LiteLLM proxy, against a provider that counts for itself."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import yaml

from running import HERE, wait_until
from upstream import Counted
from world import BUCKETS, Answer, World, ask

CALLS = int(os.environ.get("SPENDSTREAM_TEST_CALLS", "500"))
AT_A_TIME = 16
TEAMS = ("search", "support", "legal", "sales")
USERS = 5
"""Users of each team, a key each: twenty keys."""
HOOK_P99_MS = 1.0
PLANS = (
    *(["ok"] * 45 + ["stream"] * 20 + ["ok_429"] * 5 + ["ok_500"] * 4 + ["stream_429"] * 4),
    *(["stream_500"] * 2 + ["always_500"] * 2 + ["fallback"] * 4 + ["cut"] * 2),
    *(["claude"] * 6 + ["claude_stream"] * 3 + ["native"] * 2 + ["native_stream"]),
)
pytestmark = pytest.mark.timeout(900 + CALLS // 5)


async def in_turns(
    calls: list[Callable[[], Awaitable[Answer]]], at_a_time: int = AT_A_TIME
) -> list[Answer]:
    waiting = iter(calls)
    answers: list[Answer] = []

    async def work() -> None:
        for call in waiting:
            answers.append(await call())  # noqa: PERF401 - by several at once

    await asyncio.gather(*(work() for _ in range(at_a_time)))
    return answers


async def test_every_attempt_of_every_call_reconciles_with_the_providers_own_count(
    world: World,
) -> None:
    dice = random.Random(20261124)
    began = time.monotonic()
    async with aiohttp.ClientSession(world.proxy.url) as session:

        def call(number: int) -> Callable[[], Awaitable[Answer]]:
            plan = dice.choice(PLANS)
            team, user = TEAMS[number % len(TEAMS)], number // len(TEAMS) % USERS
            return lambda: ask(session, plan, team, number, user=user)

        answers = await in_turns([call(number) for number in range(CALLS)])
    seconds = time.monotonic() - began
    print(f"{CALLS} calls in {seconds:.0f} s; answers: {Counter(a.status for a in answers)}")
    totals = world.upstream.totals
    expected = sum(totals.calls.values())
    assert expected > CALLS
    where = f"team IN {TEAMS}"

    def landed() -> bool:
        (row,) = world.stack.sql(f"SELECT sum(calls) AS n FROM spend WHERE {where}")
        (kept,) = world.stack.sql(f"SELECT count() AS n FROM usage WHERE {where}")
        return int(row["n"] or 0) >= expected and int(kept["n"]) >= expected

    wait_until(f"{expected} attempts in ClickHouse", landed, 120)
    reported = "usage_source = 'reported'"
    sums = ", ".join(f"sumIf({name}, {reported}) AS {name}" for name in BUCKETS)
    rows = world.stack.sql(
        f"SELECT team, user, model, status, attempt, count() AS calls, {sums} FROM usage "
        f"WHERE {where} GROUP BY team, user, model, status, attempt"
    )
    measured = {key_of(row): row for row in rows}
    assert {key: row["calls"] for key, row in measured.items()} == dict(totals.calls)
    for bucket in BUCKETS:
        counted = totals.tokens[bucket]
        assert {k: r[bucket] or 0 for k, r in measured.items()} == {
            key: counted[key] for key in totals.calls
        }, bucket
    check_ledger(world, where)
    check_chains(world, where)
    (cut,) = world.stack.sql(
        f"SELECT countIf(error_code = 'ReadError') AS n FROM usage WHERE {where}"
    )
    assert cut["n"] == totals.cut > 0


def key_of(row: dict[str, Any]) -> Counted:
    return Counted(row["team"], row["user"], row["model"], row["status"], row["attempt"])


def check_ledger(world: World, where: str) -> None:
    """The money of the ledger is that of the provider's tokens at the prices of the file."""
    totals = world.upstream.totals
    prices = {
        entry["model"]: {k: Decimal(str(v)) for k, v in entry["usd_per_million_tokens"].items()}
        for entry in yaml.safe_load((HERE / "proxy" / "prices.yaml").read_text())["prices"]
    }
    cost: Counter[str] = Counter()
    for bucket, counted in totals.tokens.items():
        for key, tokens in counted.items():
            rate = prices[key.model].get(bucket.removesuffix("_tokens"), Decimal(0))
            cost[key.team] += tokens * rate / 1_000_000  # type: ignore[assignment]
    rows = world.stack.sql(
        "SELECT team, toString(sum(cost)) AS usd FROM spend "
        f"WHERE {where} AND usage_source = 'reported' GROUP BY team"
    )
    assert {row["team"]: Decimal(row["usd"]) for row in rows} == dict(cost)


def check_chains(world: World, where: str) -> None:
    """Each retry names the attempt before it, of the same request; the prompt is the same."""
    (row,) = world.stack.sql(
        "SELECT countIf(attempt > 1) AS retries, count() AS attempts, "
        "countIf(attempt = 1 AND retry_of IS NULL) AS first, uniqExact(event_id) AS ids, "
        "countIf(prompt_hash IS NULL) AS blind, "
        f"uniqExact(tags['litellm_call_id']) AS requests FROM usage WHERE {where}"
    )
    assert (row["requests"], row["first"], row["blind"]) == (CALLS, CALLS, 0)
    assert row["ids"] == row["attempts"] == CALLS + row["retries"]
    (row,) = world.stack.sql(
        "SELECT count() AS n FROM usage AS a INNER JOIN usage AS b ON a.retry_of = b.event_id "
        "WHERE b.attempt + 1 = a.attempt AND a.prompt_hash = b.prompt_hash AND a.team = b.team "
        f"AND a.tags['litellm_call_id'] = b.tags['litellm_call_id'] AND a.{where}"
    )
    (retries,) = world.stack.sql(f"SELECT countIf(attempt > 1) AS n FROM usage WHERE {where}")
    assert row["n"] == retries["n"] > 0


def test_the_hook_adds_less_than_a_millisecond(world: World) -> None:
    world.proxy.stop()
    times = json.loads(world.hook_times.read_text())
    assert len(times) >= CALLS
    for what, clock in (("by the clock", 0), ("of the processor", 1)):
        sample = sorted(took[clock] / 1e6 for took in times)
        p50, p99 = (sample[int(len(sample) * q)] for q in (0.5, 0.99))
        print(f"hook over {len(sample)} calls, ms {what}: p50 {p50:.3f}, p99 {p99:.3f}")
    assert p99 < HOOK_P99_MS
