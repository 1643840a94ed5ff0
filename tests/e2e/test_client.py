"""The producer's package, installed into an empty environment: three lines, and it is in SQL."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running_stack import RunningStack, clean_environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parents[2] / "clients" / "python"
DEFAULT_BROKER = "localhost:9092"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the client and nothing of ours besides."""
    folder = tmp_path_factory.mktemp("client")
    # A copy, because a build leaves its folders beside what it builds.
    without = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", ".*")
    shutil.copytree(PACKAGE, folder / "clients" / "python", ignore=without)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", "./clients/python"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    return python


def first_example() -> str:
    """The first Python block of the package's README."""
    found = re.search(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text("utf-8"), re.DOTALL)
    assert found, "the README has no Python block"
    return found[1]


def test_the_example_of_the_readme_is_three_statements():
    statements = ast.parse(first_example()).body
    # The import makes the three lines of use possible; it is not one of them.
    assert len(statements) == 4


def send_first_example(stack: RunningStack, python: Path, folder: Path) -> None:
    example = first_example()
    assert DEFAULT_BROKER in example
    script = folder / "example.py"
    script.write_text(example.replace(DEFAULT_BROKER, stack.settings.kafka))
    sent = subprocess.run(
        [python, script],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (sent.returncode, sent.stderr) == (0, "")


def test_the_example_of_the_readme_sends_an_event_that_sql_shows(
    stack: RunningStack, python: Path, tmp_path: Path
):
    send_first_example(stack, python, tmp_path)
    wait_until("the event", lambda: stack.query("SELECT 1 FROM spend LIMIT 1"))
    rows = stack.sql("SELECT team, model, calls, input_tokens, output_tokens, cost FROM spend")
    assert rows == [
        {
            "team": "search",
            "model": "gpt-4o-mini",
            "calls": 1,
            "input_tokens": 1200,
            "output_tokens": 80,
            "cost": "0.000228",
        }
    ]


@pytest.mark.only_on("kafka", "the embedded broker ends with its stack")
def test_what_is_sent_while_the_stack_is_down_is_metered_when_it_is_back(
    stack: RunningStack, python: Path, tmp_path: Path
):
    ((before,),) = stack.query("SELECT sum(calls) FROM spend")
    stack.stop()
    send_first_example(stack, python, tmp_path)
    stack.start()
    wait_until(
        "the event",
        lambda: stack.query("SELECT sum(calls) FROM spend") == [(before + 1,)],
    )
