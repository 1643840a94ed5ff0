"""A price is corrected from the middle of last month on: previewed, cut off, applied, once."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.usage import UsageEvent
from schemas.wire import encode
from streams.journal.tail import JOURNAL_PARTITION
from streams.kafka import consumer, end_offsets, stop_consumer
from streams.stack.backlog import wait_until_empty
from tests.support.events import PRICES, call
from tests.support.running_stack import RunningStack
from tests.support.stores import publish_usage
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

THIS_MONTH = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
LAST_MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
CORRECTED_ON = LAST_MONTH + timedelta(days=14)
CORRECTION = f"""
  - provider: own
    model: unit
    effective_from: {CORRECTED_ON:%Y-%m-%d}
    usd_per_million_tokens: {{input: 0.7500015, output: 1}}
    note: what the contract says
"""
BUDGETS = """
budgets:
  - {name: all, limit: 1000}
"""
DAYS = 28
TEAMS = 3
TOKENS = {(team, day): 1000 * (team + 1) + day for team in range(TEAMS) for day in range(DAYS)}
OLD_PICO, NEW_PICO_HALVES = 10**6, 1_500_000 + 3
"""Pico-dollars a token before, and twice what they are after."""
KINDS_OF_CHARGES = ("usage_usd", "restated_usd")
RANGE = (
    *("--from", f"{LAST_MONTH:%Y-%m-%d}", "--to", f"{THIS_MONTH - timedelta(days=1):%Y-%m-%d}"),
    *("--model", "unit"),
)


def rounded_half_even(halves: int) -> int:
    return halves // 2 + (halves % 2 and halves // 2 % 2)


def usd(pico: int) -> Decimal:
    return Decimal(pico).scaleb(-12)


OLD = {key: tokens * OLD_PICO for key, tokens in TOKENS.items()}
NEW = {
    (team, day): rounded_half_even(tokens * NEW_PICO_HALVES) if day >= 14 else tokens * OLD_PICO
    for (team, day), tokens in TOKENS.items()
}


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(PRICES)
    return file


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, kafka: str | None, prices: Path
) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("repriced")
    (folder / "budgets.yaml").write_text(BUDGETS)
    running = RunningStack(
        folder / "spendstream",
        *("--budgets", str(folder / "budgets.yaml"), "--prices", str(prices)),
        kafka=kafka,
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def month(stack: RunningStack) -> RunningStack:
    """A call of each team on each day of last month, and some of another model."""

    async def publish() -> None:
        for partition in (0, 1):
            events = [
                call(f"e{team}-{day}", f"team-{team}", tokens) | {"occurred_at": noon(day)}
                for (team, day), tokens in TOKENS.items()
                if day % 2 == partition
            ]
            other = {"provider": "openai", "model": "gpt-4o-mini", "occurred_at": noon(20)}
            events.append(call(f"other-{partition}", "team-0", 7) | other)
            values = [encode(UsageEvent(**event)) for event in events]
            await publish_usage(stack.settings, values, partition)
        left = await wait_until_empty(stack.settings, 30)
        assert left.empty, left

    asyncio.run(publish())
    return stack


def noon(day: int) -> datetime:
    return LAST_MONTH + timedelta(days=day, hours=12)


def journal_end(stack: RunningStack) -> int:
    async def ask() -> int:
        reader = consumer(stack.settings)
        await reader.start()
        try:
            reader.assign([JOURNAL_PARTITION])
            return int((await end_offsets(reader, [JOURNAL_PARTITION]))[JOURNAL_PARTITION])
        finally:
            await stop_consumer(reader)

    return asyncio.run(ask())


def spent(stack: RunningStack) -> Decimal:
    ((cost,),) = stack.query("SELECT sum(cost) FROM spend WHERE model = 'unit'")
    return Decimal(cost)


def used(stack: RunningStack) -> tuple[Decimal, Decimal]:
    """Of last month's budget: by the ledger, and by the guard's own counters."""
    done = stack.run("budgets", "status", "--json")
    assert done.returncode == 0, done.stderr
    (member,) = json.loads(done.stdout)["budgets"]
    url = f"http://127.0.0.1:{stack.settings.web_port}/v1/state"
    with urllib.request.urlopen(url) as answer:
        parts = json.load(answer)["partitions"]
    return Decimal(member["used"]), usd(sum(int(part["cost_pico_usd"]) for part in parts))


def reprice(stack: RunningStack, *flags: str) -> dict[str, Any]:
    done = stack.run("reprice", *RANGE, "--json", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def charged(stack: RunningStack, month: datetime) -> tuple[Decimal, Decimal]:
    """What all departments are charged for their usage of a month, and as restated."""
    done = stack.run("report", "statement", "--month", f"{month:%Y-%m}", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    usage, restated = (
        sum((Decimal(one[name]) for one in found), Decimal()) for name in KINDS_OF_CHARGES
    )
    return usage, restated


def focus_corrections(stack: RunningStack, folder: Path) -> tuple[Decimal, Decimal]:
    """Billed in last month's FOCUS export: all of it, and what is of the class Correction."""
    month = f"{LAST_MONTH:%Y-%m}"
    done = stack.run("export", "focus", "--month", month, "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.iterdir()
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    corrections = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert {row["x_CorrectionReason"] for row in corrections} == {"repricing"}
    billed, corrected = (
        sum((Decimal(row["BilledCost"]) for row in some), Decimal()) for some in (rows, corrections)
    )
    return billed, corrected


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_correction_of_a_past_month_is_shown_cut_off_and_applied_once(
    month: RunningStack, prices: Path, tmp_path: Path
):
    stack, other = month, usd(2 * 7 * 150_000)
    old, new = usd(sum(OLD.values())), usd(sum(NEW.values()))
    assert spent(stack) == old
    done = stack.run("close", "--month", f"{LAST_MONTH:%Y-%m}", "--why", "books closed", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert charged(stack, LAST_MONTH) == (old + other, 0)
    assert used(stack) == (old + other, old + other)
    assert reprice(stack)["changes"] == []

    prices.write_text(PRICES + CORRECTION)
    found = reprice(stack)
    assert (found["calls"], found["changed_calls"]) == (DAYS * TEAMS, (DAYS - 14) * TEAMS)
    assert Decimal(found["difference_usd"]) == new - old
    assert found["adjustments"] is None
    assert [
        (change["team"], Decimal(change["old_cost_usd"]), Decimal(change["new_cost_usd"]))
        for change in found["changes"]
    ] == [
        (
            f"team-{team}",
            usd(sum(OLD[team, day] for day in range(14, DAYS))),
            usd(sum(NEW[team, day] for day in range(14, DAYS))),
        )
        for team in range(TEAMS)
    ]
    assert spent(stack) == old

    ledger, end = stack.pid("ledger"), journal_end(stack)
    assert ledger is not None
    with stopped(ledger):
        running = stack.begin("reprice", *RANGE, "--yes")
        try:
            wait_until("an adjustment on the journal", lambda: journal_end(stack) > end)
        finally:
            running.kill()
            running.communicate()
        assert spent(stack) == old

    done = stack.run("reprice", *RANGE, "--yes", "--why", "contract 4711")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until("the ledger has all of it", lambda: spent(stack) == new)
    corrected = "SELECT sum(calls), sum(cost) FROM adjusted_spend WHERE reason = 'repricing'"
    assert stack.query(corrected) == [(0, new - old)]
    as_of_then = f"SELECT sum(cost) FROM spend WHERE model = 'unit' AND position < {end}"
    assert stack.query(as_of_then) == [(old,)]
    wait_until("the guard follows", lambda: used(stack) == (new + other, new + other))
    done = stack.run("reconcile")
    assert done.returncode == 0, done.stdout
    # What was closed stays, and the correction is on the next statement.
    assert charged(stack, LAST_MONTH) == (old + other, 0)
    assert charged(stack, THIS_MONTH) == (0, new - old)
    assert focus_corrections(stack, tmp_path) == (new + other, new - old)

    found = reprice(stack, "--yes")
    assert (found["changes"], found["ledger_has_yet_to_follow"]) == ([], [])
    assert found["adjustments"] is None
    done = stack.run("reprice", *RANGE)
    assert f"nothing to change: {DAYS * TEAMS} calls cost what these prices say" in done.stdout
    assert spent(stack) == new
    assert stack.sql("SELECT input_usd FROM price_history WHERE valid_from IS NOT NULL") != []


def test_mistakes_are_one_line(month: RunningStack):
    done = month.run("reprice", "--from", "2026-02-02", "--to", "2026-02-01")
    assert (done.returncode, done.stderr) == (
        2,
        "spendstream: --to: 2026-02-01 is before --from 2026-02-02; exchange them\n",
    )
    done = month.run("reprice", *RANGE[:-1], "Units")
    assert done.returncode == 2
    assert "has the model 'Units'; did you mean unit?" in done.stderr
