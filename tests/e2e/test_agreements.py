"""A month under an agreement on the running stack: applied by command, and once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.usage import UsageEvent
from schemas.wire import encode
from streams.stack.backlog import wait_until_empty
from tests.support.events import PRICES, call
from tests.support.running_stack import RunningStack
from tests.support.stores import publish_usage

pytestmark = pytest.mark.slow

LAST_MONTH = (datetime.now(UTC).replace(day=1, hour=12, minute=0) - timedelta(days=1)).replace(
    day=1
)
MONTH = ("--month", f"{LAST_MONTH:%Y-%m}")
AGREEMENTS = """
agreements:
  - {name: contract, provider: own, effective_from: 2020-01-01, commitment:
     {monthly_usd: 20, percent: 20, overage: list}}
"""
DOLLARS = {"search": 7, "support": 3}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, kafka: str | None) -> Iterator[RunningStack]:
    """With ten dollars of calls in last month; a million tokens are a dollar."""
    folder = tmp_path_factory.mktemp("agreed")
    for name, text in (("prices", PRICES), ("agreements", AGREEMENTS)):
        (folder / f"{name}.yaml").write_text(text)
    prices = ("--prices", str(folder / "prices.yaml"))
    running = RunningStack(folder / "spendstream", *prices, kafka=kafka)
    running.start()
    publish(running, *(spend(team, dollars) for team, dollars in DOLLARS.items()))
    yield running
    running.stop()


def spend(team: str, dollars: int) -> dict[str, Any]:
    return call(f"{team}-{dollars}", team, dollars * 10**6, occurred_at=LAST_MONTH)


def publish(stack: RunningStack, *events: dict[str, Any]) -> None:
    async def body() -> None:
        await publish_usage(stack.settings, [encode(UsageEvent(**event)) for event in events], 0)
        left = await wait_until_empty(stack.settings, 30)
        assert left.empty, left

    asyncio.run(body())


def answer(stack: RunningStack, *words: str) -> dict[str, Any]:
    done = stack.run(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_month_is_trued_up_by_command_and_every_copy_agrees(stack: RunningStack):
    file = str(Path(stack.folder).parent / "agreements.yaml")
    apply = ("agreements", "apply", "--file", file, *MONTH)
    shown = stack.run(*apply)
    assert "contract: +$10\n" in shown.stdout
    assert "not applied: --yes applies it" in shown.stdout
    done = answer(stack, *apply, "--why", "contract 4711", "--yes")
    assert done["applied"] == [{"agreement": "contract", "usd": "10", "true_ups": 1}]
    assert done["outstanding"][0]["teams"] == {"search": "7", "support": "3"}
    assert stack.query("SELECT sum(cost) FROM spend") == [(Decimal(20),)]
    publish(stack, spend("search", 5))
    done = answer(stack, *apply, "--yes")
    assert done["applied"] == [{"agreement": "contract", "usd": "-5", "true_ups": 1}]
    assert answer(stack, *apply, "--yes")["applied"] == []
    assert stack.query("SELECT sum(cost) FROM spend") == [(Decimal(20),)]
    ((note,),) = stack.query("SELECT note FROM adjustments WHERE note LIKE '%4711%'")
    assert note.endswith(": contract 4711")
    assert stack.run("reconcile").returncode == 0
