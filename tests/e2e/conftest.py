"""A real `spendstream up` per module, and what it said when a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_stack import RunningStack

TRACES = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(tmp_path_factory.mktemp("stack") / "spendstream")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder of the real traces, which are not part of this repository."""
    if not TRACES.is_dir():
        pytest.skip("the real traces are not there: ../shared/data")
    return TRACES


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, RunningStack):
        report.sections.append(("spendstream up", stack.words()))
    return report
