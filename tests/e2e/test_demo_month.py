"""`spendstream demo --month`: a month of a company through every stage, thinned a lot."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.errors import UserError
from streams.cli.demo import demo as command
from streams.cli.demo_month import before
from tests.support.running_stack import clean_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.only_on("embedded", "the demo brings its own broker"),
]


def demo(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", "demo", "--folder", str(folder), *flags],
        capture_output=True,
        text=True,
        env=clean_environment(COLUMNS="120"),
        timeout=115,
        check=False,
    )


def test_a_past_month_lands_whole_and_its_budgets_are_judged_by_its_own_time(
    tmp_path: Path,
) -> None:
    done = demo(tmp_path, "--month", "2026-10", "--thinned", "400", "--once", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    verdict = document["reconcile"]
    assert (verdict["ok"], verdict["differences"]) == (True, [])
    assert verdict["calls"] == document["events"] > 3000
    assert document["outcomes"] > 100
    assert Decimal(verdict["cost_usd"]) > 5
    assert [title for title in document["alerts"] if "2026-10 budget" in title]
    assert not [title for title in document["alerts"] if "2026-10" not in title]


@pytest.mark.parametrize(
    ("flags", "mistake"),
    [
        (("--month", "2999-01"), "--month: 2999-01 has not begun; such as last, or this"),
        (("--month", "november"), "--month: 'november' is no month; write it as 2026-03"),
        (("--once",), "--once is of --month: say which, such as --month last"),
        (("--thinned", "5"), "--thinned is of --month: say which, such as --month last"),
        (
            ("--month", "2026-10", "--seconds", "50"),
            "--seconds is of the minute: leave it out, or --month",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(
    tmp_path: Path, flags: tuple[str, ...], mistake: str
) -> None:
    told = CliRunner().invoke(command, ["--folder", str(tmp_path), *flags])
    assert isinstance(told.exception, UserError)
    assert str(told.exception) == mistake


@pytest.mark.parametrize(
    ("month", "earlier"),
    [(date(2026, 11, 1), date(2026, 10, 1)), (date(2027, 1, 1), date(2026, 12, 1))],
)
def test_the_month_before_may_be_of_the_year_before(month: date, earlier: date) -> None:
    assert before(month) == earlier
