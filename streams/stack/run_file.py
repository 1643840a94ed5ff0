"""The run file: how other commands find the stack that runs from a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from streams.settings import PREFIX, Settings, load_settings


def run_file(folder: Path) -> Path:
    """Where a running stack says how to reach it."""
    return folder / "run.json"


def write_run_file(folder: Path, settings: Settings) -> None:
    """Say where this process's stack is, for the other commands of whoever works here."""
    addresses = {
        "pid": os.getpid(),
        "kafka": settings.kafka,
        "clickhouse": settings.clickhouse,
        "web_port": settings.web_port,
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
    running = {
        name: value
        for name, value in running_stack(folder).items()
        if name != "pid" and f"{PREFIX}{name}".upper() not in os.environ
    }
    return load_settings(**{**running, **given})
