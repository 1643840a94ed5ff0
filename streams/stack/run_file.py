"""The run file: how other commands find the stack that runs from a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from streams.access import EMBEDDED
from streams.settings import PREFIX, Settings, load_settings

_NO_SETTINGS = frozenset({"pid", "health"})


def run_file(folder: Path) -> Path:
    """Where a running stack says how to reach it."""
    return folder / "run.json"


def write_run_file(folder: Path, settings: Settings, health: Mapping[str, int]) -> None:
    """Say where this process's stack is, for the other commands of whoever works here.

    ``health``: the port on which each stage tells its health.
    """
    addresses = {
        "pid": os.getpid(),
        "kafka": settings.kafka,
        "kafka_security": settings.kafka_security,
        "clickhouse": settings.clickhouse,
        "web_port": settings.web_port,
        "ingest_port": settings.ingest_port,
        "health": dict(health),
        **{
            name: str(path.resolve())
            for name, path in (
                ("budgets", settings.budgets),
                ("detectors", settings.detectors),
                ("prices", settings.prices),
            )
            if path is not None
        },
    }
    run_file(folder).write_text(json.dumps(addresses))


def remove_run_file(folder: Path) -> None:
    """Remove what this process has written; another one's stays."""
    if running_stack(folder).get("pid") == os.getpid():
        run_file(folder).unlink(missing_ok=True)


def running_stack(folder: Path) -> dict[str, object]:
    """What the stack that runs from this folder has written; empty where none does."""
    try:
        addresses: dict[str, object] = dict(json.loads(run_file(folder).read_text()))
        os.kill(int(str(addresses["pid"])), 0)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return {}
    return addresses


def settings_for(folder: Path, **flags: object) -> Settings:
    """Settings of a command: flags, else the environment, else the stack that runs here."""
    given = {name: value for name, value in flags.items() if value is not None}
    stack = running_stack(folder)
    plaintext = stack.pop("kafka_security", None) == "PLAINTEXT"
    running = {
        name: value
        for name, value in stack.items()
        if name not in _NO_SETTINGS and f"{PREFIX}{name}".upper() not in os.environ
    }
    # What else the environment says is for the address that it says.
    if plaintext and "kafka" in running and "kafka" not in given:
        running |= EMBEDDED["kafka"]
    if "clickhouse" in running and "clickhouse" not in given:
        running |= EMBEDDED["clickhouse"]
    return load_settings(**{**running, **given})
