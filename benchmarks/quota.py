"""How late people and gateways learn that a budget is used up, and what that costs: metering is
asynchronous.

20 teams with a budget each, which refuses at 100 %, call at a steady rate through the whole
embedded stack. The budgets are used up one after the other. Each team's clock runs from the call
that uses up its budget until `GET /v1/quota` first says no, which another process asks all the time
as a gateway would; then its calls are made by a team without a budget. What it called in between is
the overshoot. Answers are timed as their client sees them, meanwhile. And from the call that
reaches 50, 80 and 100 % of a budget it is timed until a webhook's receiver has the alert. Last,
decisions of the client in memory are timed.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from benchmarks.arrivals import Arrivals, receiving
from benchmarks.decisions import decide_often
from benchmarks.meter import PATIENCE_SECONDS, TooSlow
from schemas.topics import USAGE
from streams.stack.ports import LOOPBACK, Ports
from streams.stack.stack import Stack
from streams.traffic.publish import usage_producer

QUOTA = "quota"
PER_SECOND = 2000
TEAMS = tuple(f"team-{number:02d}" for number in range(20))
OTHERS = "others"
CALL_CENTS = 1
FIRST_SECONDS, EVERY_SECONDS = 8.0, 0.75
"""The first budget is worth so much of its team's time, and each further one so much more."""
ASKERS = 3
ANSWERS_AT_REST = 3000
ASK_SECONDS = 0.005
TURN_SECONDS = 0.005
THRESHOLDS = (50, 80, 100)
SECRET = "whsec_" + "c2VjcmV0" * 4
PRICES = """
prices:
  - provider: own
    model: unit
    effective_from: 2020-01-01
    usd_per_million_tokens: {input: 1, output: 1}
"""


@dataclass(slots=True)
class QuotaTimes:
    """``seconds``: from a call that used up a budget until it was known. ``overshoot``: what was
    called by then, in percent of the limit. ``answers``: seconds that each answer took
    meanwhile; ``at_rest``: when nobody calls any more. ``alerts``: from a call that reached a
    threshold until the webhook had the alert. ``decisions``: what each took in memory."""

    per_second: int
    seconds: list[float] = field(default_factory=list)
    overshoot: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    at_rest: list[float] = field(default_factory=list)
    alerts: list[float] = field(default_factory=list)
    decisions: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Team:
    name: str
    affordable: int
    """Calls that the budget pays; the last of them uses it up."""
    called: int = 0
    used_up: asyncio.Event = field(default_factory=asyncio.Event)
    used_up_at: float = 0.0
    refused: bool = False
    reached: dict[int, float] = field(default_factory=dict)
    """When each threshold was."""

    def call(self) -> None:
        """Note a call, which costs a cent."""
        self.called += 1
        for percent in THRESHOLDS:
            if self.called * 100 >= self.affordable * percent and percent not in self.reached:
                self.reached[percent] = time.monotonic()
        if self.called == self.affordable:
            self.used_up_at = self.reached[100]
            self.used_up.set()


async def measure_quota(folder: Path) -> QuotaTimes:
    """Run it, in an empty folder. Raises TooSlow where a budget's end does not become known."""
    each = PER_SECOND / len(TEAMS)
    teams = [
        _Team(name, int(each * (FIRST_SECONDS + number * EVERY_SECONDS)))
        for number, name in enumerate(TEAMS)
    ]
    (folder / "budgets.yaml").write_text(_budgets(teams))
    (folder / "prices.yaml").write_text(PRICES)
    async with receiving() as arrivals:
        stack = Stack(
            folder,
            Ports.free(),
            budgets=folder / "budgets.yaml",
            prices=folder / "prices.yaml",
            webhook=arrivals.address,
            webhook_secret=SECRET,
        )
        return await _measure(stack, teams, arrivals)


async def _measure(stack: Stack, teams: Sequence[_Team], arrivals: Arrivals) -> QuotaTimes:
    times = QuotaTimes(PER_SECOND)
    sender = usage_producer(stack.settings)
    try:
        await stack.start_stores()
        await stack.start_stages()
        await sender.start()
        with ProcessPoolExecutor(ASKERS, multiprocessing.get_context("spawn")) as askers:
            # They start, and import this module, when they are first needed: that takes seconds.
            list(askers.map(_stay, [1.0] * ASKERS))
            async with asyncio.timeout(PATIENCE_SECONDS):
                calling = asyncio.create_task(_call(sender, teams))
                address = LOOPBACK, stack.ports.web
                await asyncio.gather(*(_watch(askers, address, team, times) for team in teams))
                await calling
                while len(arrivals.seen) < len(teams) * len(THRESHOLDS):  # noqa: ASYNC110 - the receiver's
                    await asyncio.sleep(TURN_SECONDS)
                loop = asyncio.get_running_loop()
                times.at_rest = await loop.run_in_executor(askers, ask_often, address, TEAMS[0])
                times.decisions = await loop.run_in_executor(askers, decide_often)
    except TimeoutError:
        waiting = [team.name for team in teams if not team.refused]
        raise TooSlow(
            f"budgets whose end was not known: {', '.join(waiting) or 'none'}; "
            f"{len(arrivals.seen)} alerts came"
        ) from None
    finally:
        await sender.stop()
        await stack.stop()
    times.alerts = [
        arrivals.seen[team.name, percent] - team.reached[percent]
        for team in teams
        for percent in THRESHOLDS
    ]
    return times


async def _call(sender: AIOKafkaProducer, teams: Sequence[_Team]) -> None:
    """Calls of all teams in turn, at the rate, until the last one is refused."""
    started, sent = time.monotonic(), 0
    while not all(team.refused for team in teams):
        due = int((time.monotonic() - started) * PER_SECOND)
        for number in range(sent, due):
            team = teams[number % len(teams)]
            name = OTHERS if team.refused else team.name
            await sender.send(USAGE, _event(name), key=name.encode())
            if not team.refused:
                team.call()
        sent = due
        await asyncio.sleep(TURN_SECONDS)


async def _watch(
    askers: Executor, address: tuple[str, int], team: _Team, times: QuotaTimes
) -> None:
    await team.used_up.wait()
    loop = asyncio.get_running_loop()
    refused_at, answers = await loop.run_in_executor(askers, ask_until_refused, address, team.name)
    team.refused = True
    times.answers += answers
    times.seconds.append(refused_at - team.used_up_at)
    times.overshoot.append(100 * (team.called - team.affordable) / team.affordable)


def _stay(seconds: float) -> None:
    time.sleep(seconds)


def ask_until_refused(address: tuple[str, int], team: str) -> tuple[float, list[float]]:
    """When the first refusal was there, by the monotonic clock that all processes share; and how
    many seconds each answer took. For a process of its own."""
    answers = []
    for now, seconds, allowed in _answers(address, team):
        answers.append(seconds)
        if not allowed:
            return now, answers
        time.sleep(ASK_SECONDS)
    raise AssertionError("answers do not end")


def ask_often(address: tuple[str, int], team: str) -> list[float]:
    """How many seconds each of many answers in a row took. For a process of its own."""
    return [seconds for _, seconds, _ in islice(_answers(address, team), ANSWERS_AT_REST)]


def _answers(address: tuple[str, int], team: str) -> Iterator[tuple[float, float, bool]]:
    """When each answer was there, how long it took, and whether it allows a call."""
    with closing(http.client.HTTPConnection(*address, timeout=PATIENCE_SECONDS)) as connection:
        while True:
            asked = time.monotonic()
            connection.request("GET", f"/v1/quota?team={team}")
            body = json.loads(connection.getresponse().read())
            now = time.monotonic()
            yield now, now - asked, body["allowed"]


def _event(team: str) -> bytes:
    event: dict[str, Any] = {
        "event_id": str(uuid4()),
        "occurred_at": datetime.now(UTC).isoformat(),
        "provider": "own",
        "model": "unit",
        "team": team,
        "usage_source": "reported",
        "input_tokens": 10_000 * CALL_CENTS,
    }
    return json.dumps(event).encode()


def _budgets(teams: Sequence[_Team]) -> str:
    budgets = [
        {
            "name": team.name,
            "where": {"team": team.name},
            "limit": f"{team.affordable * CALL_CENTS / 100:.2f}",
            "actions": [{"at": 100, "do": "refuse"}],
        }
        for team in teams
    ]
    return json.dumps({"budgets": budgets})
