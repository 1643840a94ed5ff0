"""An invoice on the running stack: imported, explained and trued up by command, and once."""

from __future__ import annotations

import asyncio
import json
import urllib.request
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
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

DAY = (datetime.now(UTC).replace(day=1, hour=12, minute=0) - timedelta(days=1)).replace(day=3)
OF = ("--provider", "own", "--month", f"{DAY:%Y-%m}")
BUDGETS = "budgets: [{name: all, limit: 1000}]\n"
INVOICE = f"""\
start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item
{DAY:%Y-%m-%d},,11.5,usd,11500000,tokens,"unit, input"
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, kafka: str | None) -> Iterator[RunningStack]:
    """With ten dollars of calls in last month; a million tokens are a dollar."""
    folder = tmp_path_factory.mktemp("invoiced")
    for name, text in (("prices.yaml", PRICES), ("budgets.yaml", BUDGETS), ("i.csv", INVOICE)):
        (folder / name).write_text(text)
    files = [f"--{name}={folder / name}.yaml" for name in ("prices", "budgets")]
    running = RunningStack(folder / "spendstream", *files, kafka=kafka)
    running.start()
    asyncio.run(publish(running))
    yield running
    running.stop()


async def publish(stack: RunningStack) -> None:
    events = [
        call(team, team, dollars * 10**6, occurred_at=DAY)
        for team, dollars in (("search", 7), ("support", 3))
    ]
    await publish_usage(stack.settings, [encode(UsageEvent(**event)) for event in events], 0)
    left = await wait_until_empty(stack.settings, 30)
    assert left.empty, left


def answer(stack: RunningStack, *words: str) -> dict[str, Any]:
    done = stack.run(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def used(stack: RunningStack) -> tuple[Decimal, Decimal]:
    """Of last month's budget, and by the guard's own counters."""
    (member,) = answer(stack, "budgets", "status")["budgets"]
    url = f"http://127.0.0.1:{stack.settings.web_port}/v1/state"
    with urllib.request.urlopen(url) as said:
        parts = json.load(said)["partitions"]
    pico = sum(int(part["cost_pico_usd"]) for part in parts)
    return Decimal(member["used"]), Decimal(pico).scaleb(-12)


def test_an_invoice_is_trued_up_once_and_every_copy_agrees(stack: RunningStack):
    invoice = str(Path(stack.folder).parent / "i.csv")
    imported = ("invoice", "import", invoice, "--provider", "own")
    assert answer(stack, *imported)["new"] == 1
    assert answer(stack, *imported)["known"] == 1
    found = answer(stack, "invoice", "report", *OF)
    assert (found["variance_usd"], found["attribution_usd"]) == ("1.5", {"missing_events": "1.5"})

    true_up = ("invoice", "true-up", *OF)
    shown = stack.run(*true_up)
    assert "not applied: --yes applies it" in shown.stdout
    done = answer(stack, *true_up, "--yes", "--why", "invoice 4711")
    assert done["teams"] == {"search": "1.05", "support": "0.45"}
    assert len(done["adjustments"]) == 1
    due = Decimal("11.5")
    assert stack.query("SELECT sum(cost) FROM spend") == [(due,)]
    wait_until("the guard follows", lambda: used(stack) == (due, due))
    reconciled = stack.run("reconcile")
    assert reconciled.returncode == 0, reconciled.stdout

    again = stack.run(*true_up, "--yes")
    assert "nothing to true up: the ledger has what the invoice says" in again.stdout
    assert stack.query("SELECT sum(cost) FROM spend") == [(due,)]
