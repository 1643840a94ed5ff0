"""When a replayed event is due. Pure: whoever sends it asks, and waits by a clock of its own."""

from __future__ import annotations

import math
from datetime import datetime

from schemas.errors import UserError


def checked_speed(speed: float) -> float:
    """The speed, if it is one. Raises UserError: it must be finite and not below zero."""
    if not math.isfinite(speed) or speed < 0:
        raise UserError(
            f"speed is {speed:g}; 0 is as fast as possible, 1 is real time, 60 an hour a minute"
        )
    return speed


def due(at: datetime | None, first_at: datetime | None, started: float, speed: float) -> float:
    """When an event is to be sent, in seconds of the clock on which ``started`` was read.

    ``at`` is the event's time and ``first_at`` the first event's. At speed N, N seconds of the
    trace pass in one second. At speed 0, or where a time is not known, it is due from the start.
    """
    if speed == 0 or at is None or first_at is None:
        return started
    return started + (at - first_at).total_seconds() / speed
