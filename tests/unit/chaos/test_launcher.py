"""The points at which the fault suite kills a stage must be there."""

from __future__ import annotations

import importlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import faults_stages
from tests.chaos.launcher import STAGES, Step

STEPS = [step for steps in STAGES.values() for step in steps]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_product_has_the_function_of_each_step(step):
    module, _, owner = step.owner.partition(":")
    place = importlib.import_module(module)
    if owner:
        place = getattr(place, owner)
    assert step.function == "_publish" or callable(getattr(place, step.function))


def test_every_step_has_a_fault_and_every_fault_its_step():
    armed = re.findall(
        r'"((?:meter|ledger|archive|guard|notifier)-\w+)"', Path(faults_stages.__file__).read_text()
    )
    assert set(armed) == {step.name for step in STEPS}


SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.chaos.launcher import Step, _deadly
said = []
async def insert(self, table):
    print(table, flush=True)
step = Step("there", "after", "", "", "spend")
insert = _deadly(insert, step, Path(sys.argv[1]))
for table in ("other", "spend", "spend"):
    asyncio.run(insert(None, table))
"""


def test_an_armed_step_kills_where_it_stands_and_is_used_up(tmp_path):
    (tmp_path / "there").touch()
    run = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    first, second = (
        subprocess.run(run, capture_output=True, text=True, check=False) for _ in range(2)
    )
    assert (first.returncode, first.stdout.split()) == (-signal.SIGKILL, ["other", "spend"])
    assert (second.returncode, second.stdout.split()) == (0, ["other", "spend", "spend"])


def test_steps_are_named_once():
    assert len({step.name for step in STEPS}) == len(STEPS)
    assert all(isinstance(step, Step) for step in STEPS)
