"""`spendstream demo`, as `make demo` runs it, only shorter."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_stack import clean_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.only_on("embedded", "the demo brings its own broker"),
]

SECONDS = 15


def demo(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "streams.cli", "demo", "--seconds", str(SECONDS)),
            *("--folder", str(folder), *flags),
        ],
        capture_output=True,
        text=True,
        env=clean_environment(COLUMNS="120"),
        timeout=115,
        check=False,
    )


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = demo(tmp_path_factory.mktemp("demo"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_every_total_agrees(summary: dict[str, Any]) -> None:
    verdict = summary["reconcile"]
    assert verdict["ok"] is True
    assert verdict["differences"] == []
    assert verdict["calls"] == summary["events"] - summary["refused"]
    known = [Decimal(cost) for cost in summary["spend_usd"].values() if cost is not None]
    assert sum(known) == Decimal(verdict["cost_usd"])


def test_a_team_without_prices_has_unknown_spend_and_not_zero(summary: dict[str, Any]) -> None:
    assert summary["spend_usd"]["labs"] is None


def test_marketing_crosses_each_threshold_once(summary: dict[str, Any]) -> None:
    crossed = [
        alert["threshold"]
        for alert in summary["alerts"]
        if alert["rule"] == "budget" and alert["scope"]["team"] == "marketing"
    ]
    assert crossed == ["50", "80", "100"]


def test_the_retry_storm_opens_once_and_is_over_in_the_end(summary: dict[str, Any]) -> None:
    storms = [
        (alert["scope"], alert["transition"])
        for alert in summary["alerts"]
        if alert["rule"] == "retry_storm"
    ]
    scope = {"team": "checkout", "application": "order-bot"}
    assert {who["application"] for who, _ in storms} == {scope["application"]}
    told = [transition for _, transition in storms if transition != "escalated"]
    assert told == ["opened", "resolved"]


def test_what_is_no_event_is_refused(summary: dict[str, Any]) -> None:
    assert summary["refused"] == SECONDS // 5


def test_the_terminal_shows_spend_alerts_and_verdict_and_the_picture_needs_no_network(
    tmp_path: Path,
) -> None:
    picture = tmp_path / "demo.svg"
    done = demo(tmp_path / "home", "--picture", str(picture))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reconcile: OK" in done.stdout
    assert "budget of marketing: 100 %" in done.stdout
    assert "retry storm: order-bot" in done.stdout
    drawing = picture.read_text()
    assert "marketing" in drawing
    assert "@font-face" not in drawing
