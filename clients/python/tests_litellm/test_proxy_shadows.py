"""Shadow calls of the real LiteLLM proxy: who is compared, and what the meter is told."""

from __future__ import annotations

import aiohttp
import pytest

from running import wait_until
from world import World, ask

ROUTING = """
routing:
  default: frontier
  shadow: {share: 100%, tier: cost-optimised, only: {team: compared}}
"""
PLANS = ("ok", "stream", "ok_500", "ok")
pytestmark = pytest.mark.timeout(300)


async def test_a_call_to_a_dear_model_is_made_again_with_a_cheaper_one_for_its_own_team(
    world: World,
) -> None:
    async with aiohttp.ClientSession(world.proxy.url) as session:
        for number, plan in enumerate(PLANS):
            for team in ("compared", "other"):
                answer = await ask(session, plan, team, number, user=3, model="large")
                assert answer.status == 200, answer.body
        cheap = await ask(session, "ok", "compared", 99, user=3, model="small")
        assert cheap.status == 200
    # Of each plan an answer and its copy; of `ok_500` a failure too; and the call that is cheap.
    query = "SELECT count() FROM usage WHERE team = 'compared'"
    wait_until(
        "all calls in ClickHouse",
        lambda: world.stack.sql(query) == [{"count()": 2 * len(PLANS) + 2}],
        60,
    )
    pairs = world.stack.sql(
        "SELECT dear.model AS model, dear.status AS status, copy.model AS cheaper, "
        "copy.routing_tier AS tier, copy.user AS user, copy.status AS ended, "
        "copy.input_tokens = dear.input_tokens AS alike, count() AS n FROM usage AS copy "
        "INNER JOIN usage AS dear ON copy.shadow_of = dear.event_id "
        "WHERE copy.team = 'compared' AND startsWith(copy.event_id, 'shadow:') "
        "GROUP BY model, status, cheaper, tier, user, ended, alike"
    )
    assert pairs == [
        {
            "model": "meter-large",
            "status": "ok",
            "cheaper": "meter-small",
            "tier": "cost-optimised",
            "user": "u-3",
            "ended": "ok",
            "alike": 1,
            "n": len(PLANS),
        }
    ]
    (others,) = world.stack.sql(
        "SELECT countIf(shadow_of IS NOT NULL) AS n FROM usage WHERE team = 'other'"
    )
    assert others["n"] == 0
    assert "meter-small" not in world.upstream.models["other"]
    ledger = (
        "SELECT sum(calls) AS n, countIf(is_shadow) > 0 AS some FROM spend WHERE team = 'compared'"
    )
    wait_until(
        "all calls in the ledger",
        lambda: world.stack.sql(ledger) == [{"n": 2 * len(PLANS) + 2, "some": 1}],
        30,
    )
