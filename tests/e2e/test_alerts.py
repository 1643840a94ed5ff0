"""Alerts from the event to the receiver: each one arrives, once, over refusals, kills and edits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts import alert_id
from tests.support.events import PRICES, call, write_events
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.running_stack import RunningStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MILLION = 1_000_000
MONTH = "2026-03"
PATHS = ("/hook", "/slack")


def budget(team: str, limit: int, *thresholds: int) -> dict[str, Any]:
    return {
        "name": team,
        "where": {"team": team},
        "limit": limit,
        "thresholds": list(thresholds),
        "burn_rate": False,
        "forecast": False,
    }


FIRST = [
    budget("search", 10, 50, 100),
    budget("support", 20, 80, 100),
    budget("research", 5, 50, 100),
]


def write_budgets(file: Path, budgets: list[dict[str, Any]]) -> None:
    """In one step, as an editor or a config map does it. JSON is YAML."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"timezone: UTC\nbudgets: {budgets}\n")
    fresh.replace(file)


@dataclass
class World:
    stack: RunningStack
    receiver: Receiver
    budgets: Path

    def send(self, file: Path, *events: dict[str, Any]) -> None:
        self.stack.replay(write_events(file, events), "jsonl")

    def history(self) -> list[tuple[Any, ...]]:
        return self.stack.query(
            "SELECT alert_id, transition, count() FROM alert_history GROUP BY 1, 2"
        )

    def arrived(self, alerts: set[str]) -> bool:
        """True once every path has taken as many different alerts, the webhook exactly these."""
        taken = [self.receiver.accepted(path) for path in PATHS]
        wanted = {f"{alert}:1" for alert in alerts}
        return wanted <= taken[0].keys() and len(taken[1]) >= len(alerts)

    def check_exactly(self, alerts: set[str]) -> None:
        """Nothing is under way, and everything was taken once, by both paths and by history."""
        wait_until("every alert", lambda: self.arrived(alerts))
        wait_until("every record of delivery", lambda: self.undelivered() == 0)
        hook, slack = (self.receiver.accepted(path) for path in PATHS)
        assert dict(hook) == {f"{alert}:1": 1 for alert in alerts}
        assert list(slack.values()) == [1] * len(alerts)
        assert sorted(self.history()) == [(alert, "opened", 1) for alert in sorted(alerts)]
        assert self.receiver.forgeries == []

    def undelivered(self) -> int:
        ((count,),) = self.stack.query(
            "SELECT countIf(state != 'delivered') + 2 * (SELECT count() FROM alert_history) "
            "- count() FROM deliveries FINAL"
        )
        return int(count)


def budget_alert(team: str, percent: int) -> str:
    return alert_id("budget", {"team": team, "budget": team}, MONTH, str(percent))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, kafka: str | None
) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("alerts")
    prices = folder / "prices.yaml"
    prices.write_text(PRICES)
    write_budgets(folder / "budgets.yaml", FIRST)
    running = RunningStack(
        folder / "spendstream",
        *("--budgets", str(folder / "budgets.yaml"), "--prices", str(prices)),
        kafka=kafka,
        environment={
            "SPENDSTREAM_WEBHOOK": f"{receiver.address}/hook",
            "SPENDSTREAM_WEBHOOK_SECRET": SECRET,
            "SPENDSTREAM_SLACK_WEBHOOK": f"{receiver.address}/slack",
        },
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def world(stack: RunningStack, receiver: Receiver) -> World:
    return World(stack, receiver, stack.folder.parent / "budgets.yaml")


@pytest.fixture(scope="module")
def opened() -> set[str]:
    """Alerts that this module has caused so far."""
    return set()


def test_each_threshold_and_the_storm_arrive_once_over_refusals(world, opened, tmp_path):
    world.receiver.answers["/hook"].extend([(500, {}), (429, {"Retry-After": "1"}), (502, {})])
    world.receiver.answers["/slack"].extend([(429, {"Retry-After": "1"}), (500, {})])
    storm = {
        "application": "order-bot",
        "status": "rate_limited",
        "error_code": "429",
        "occurred_at": "2026-03-10T12:05:00Z",
    }
    world.send(
        tmp_path / "first.jsonl",
        *(call(f"search-{n}", "search", MILLION) for n in range(11)),
        *(call(f"support-{n}", "support", MILLION) for n in range(16)),
        *(call(f"storm-{n}", "checkout", 10, attempt=1 + n % 6, **storm) for n in range(40)),
    )
    opened |= {
        *(budget_alert("search", 50), budget_alert("search", 100), budget_alert("support", 80)),
        alert_id(
            "retry_storm",
            {"team": "checkout", "application": "order-bot"},
            "2026-03-10T12:05:00+00:00",
            "20",
        ),
    }
    world.check_exactly(opened)
    assert [world.receiver.refused(path) for path in PATHS] == [3, 2]
    hook = {post.about: post.body for post in world.receiver.posts if post.path == "/hook"}
    assert hook[f"{budget_alert('search', 100)}:1"]["value"] == "11.000000000000"


def test_a_guard_that_is_killed_while_the_receivers_are_down_still_delivers(
    world, opened, tmp_path
):
    world.receiver.down = True
    refused = [world.receiver.refused(path) for path in PATHS]
    world.send(tmp_path / "second.jsonl", call("research-1", "research", 3 * MILLION))
    opened.add(budget_alert("research", 50))
    wait_until(
        "a refusal on both paths",
        lambda: all(
            world.receiver.refused(path) > n for path, n in zip(PATHS, refused, strict=True)
        ),
    )
    killed = world.stack.kill("guard")
    wait_until("the restart", lambda: world.stack.pid("guard") not in (None, killed))
    world.receiver.down = False
    world.check_exactly(opened)


def test_a_new_budget_counts_what_was_spent_before_it(world, opened, tmp_path):
    world.send(tmp_path / "third.jsonl", call("platform-1", "platform", 3 * MILLION))
    world.check_exactly(opened)
    write_budgets(world.budgets, [*FIRST, budget("platform", 4, 70, 90)])
    opened.add(budget_alert("platform", 70))
    world.check_exactly(opened)


def test_a_broken_budgets_file_leaves_the_last_good_one_in_force(world, opened, tmp_path):
    said = "what is in force stays"
    world.budgets.write_text("budgets: [{name: platform, limit: lots}]\n")
    line = wait_until(
        "a word about the file",
        lambda: [line for line in world.stack.log("guard").splitlines() if said in line],
    )[-1]
    assert "budgets[0] (platform).limit" in line
    world.send(tmp_path / "fourth.jsonl", call("platform-2", "platform", MILLION))
    opened.add(budget_alert("platform", 90))
    world.check_exactly(opened)
