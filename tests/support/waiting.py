"""Waiting for something to become true, with a limit and a name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.05
"""Between two looks: what is looked at is a process that needs the processor too."""


def wait_until(what: str, look: Callable[[], T], seconds: float = 30.0) -> T:
    """Look until there is something true to see, and return it. Fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s; last seen: {seen!r}")
        pause.wait(PAUSE_SECONDS)
    return seen
