"""What an emitter counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of events since the emitter was made.

    Always ``emitted == delivered + dropped_full + dropped_undelivered + pending``.
    """

    emitted: int
    """Valid events handed to `emit`."""
    delivered: int
    """Acknowledged by every in-sync replica."""
    dropped_full: int
    """Dropped because max_pending events were waiting."""
    dropped_undelivered: int
    """Given up: not acknowledged in time, or the emitter was closed. Some may have arrived."""
    refused: int
    """Events that break a rule; not in ``emitted``."""
    pending: int
    """Waiting, or on their way."""
