"""A stage as `spendstream` runs it, with points at which it can be killed.

`python -m tests.chaos.launcher meter`. A step is armed by a file of its name: whoever comes to it
first takes the file away and ends by SIGKILL, right there.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

STEPS = "CHAOS_STEPS"
"""Environment: the folder of the armed steps."""
GROUP = "CHAOS_METER_GROUP"
"""Environment: another consumer group for a meter, which then owns every partition too."""
NAMESPACE = "CHAOS_NAMESPACE"
"""Environment: a process whose mounts this one is to see."""

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Step:
    """A point before or after a call of a function; ``given``: only with this first argument."""

    name: str
    when: Literal["before", "after"]
    owner: str
    function: str
    given: str | None = None


_METER = "streams.metering.meter"
_CLICKHOUSE = "sinks.clickhouse:ClickHouse"
STAGES: dict[str, tuple[Step, ...]] = {
    "meter": (
        Step("meter-buried", "after", "streams.metering.appender", "bury_all"),
        Step("meter-appended", "before", "streams.journal.tail:JournalTail", "verdict"),
        Step("meter-judged", "after", "streams.journal.tail:JournalTail", "verdict"),
        Step("meter-revoked", "after", f"{_METER}:Meter", "on_partitions_revoked"),
        Step("meter-assigned", "after", f"{_METER}:Meter", "on_partitions_assigned"),
        Step("meter-rebuilding", "after", "streams.metering.windows", "_read_some"),
    ),
    "ledger": (
        Step("ledger-between", "after", _CLICKHOUSE, "insert", "spend"),
        Step("ledger-uncommitted", "after", _CLICKHOUSE, "insert", "ledger_progress"),
    ),
    "archive": (Step("archive-between", "after", _CLICKHOUSE, "insert", "usage_events"),),
    "guard": (
        Step("guard-published", "after", "streams.alerts.desk:AlertDesk", "_publish"),
        Step("guard-loaded", "after", "streams.guard.guard", "load_follower"),
        Step("notifier-sent", "after", "sinks.webhook:Webhook", "send"),
    ),
}


def main(arguments: list[str]) -> None:
    """Run a stage."""
    if NAMESPACE in os.environ:
        _enter(int(os.environ[NAMESPACE]))
    folder = Path(os.environ[STEPS])
    for step in STAGES.get(arguments[-1], ()):
        _arm(step, folder)
    if GROUP in os.environ:
        module: Any = importlib.import_module(_METER)
        module.Meter = functools.partial(module.Meter, group=os.environ[GROUP])

    from streams.cli.main import main as run

    run(arguments)


def _arm(step: Step, folder: Path) -> None:
    module, _, name = step.owner.partition(":")
    owner: Any = importlib.import_module(module)
    if name:
        owner = getattr(owner, name)
    if step.function == "_publish":  # an attribute that the constructor sets
        _arm_publish(owner, step, folder)
        return
    setattr(owner, step.function, _deadly(getattr(owner, step.function), step, folder))


def _arm_publish(desk: Any, step: Step, folder: Path) -> None:
    plain = desk.__init__

    def init(self: Any, publish: Callable[..., Any]) -> None:
        plain(self, _deadly(publish, step, folder))

    desk.__init__ = init


def _deadly(function: Callable[..., Any], step: Step, folder: Path) -> Callable[..., Any]:
    def reach(arguments: tuple[Any, ...]) -> None:
        if step.given is None or arguments[1] == step.given:
            _die_if_armed(folder / step.name)

    @functools.wraps(function)
    async def waits(*args: Any, **kwargs: Any) -> Any:
        if step.when == "before":
            reach(args)
        result = await function(*args, **kwargs)
        if step.when == "after":
            reach(args)
        return result

    @functools.wraps(function)
    def returns(*args: Any, **kwargs: Any) -> Any:
        if step.when == "before":
            reach(args)
        result = function(*args, **kwargs)
        if step.when == "after":
            reach(args)
        return result

    return waits if inspect.iscoroutinefunction(function) else returns


def _die_if_armed(armed: Path) -> None:
    try:
        armed.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _enter(process: int) -> None:
    """See the mounts of another process, which are in a user namespace of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = Path.cwd()
    namespaces = Path("/proc", str(process), "ns")
    for name, kind in (("user", _CLONE_NEWUSER), ("mnt", _CLONE_NEWNS)):
        with (namespaces / name).open("rb") as file:
            if libc.setns(file.fileno(), kind) != 0:
                error = ctypes.get_errno()
                raise OSError(error, f"setns {name}: {os.strerror(error)}")
    os.chdir(here)
    # To change one's rights clears it.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
