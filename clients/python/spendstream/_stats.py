"""What an emitter counts, and how it says it to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of events since the emitter was made (in a forked child: since the fork).

    Always ``emitted + recovered == delivered + dropped_full + dropped_undelivered + rejected +
    spooled + pending``. Without a spool, ``recovered`` and ``spooled`` are 0; with Kafka,
    ``rejected`` are only events that are too large for the broker.
    """

    emitted: int
    """Valid events handed to `emit`."""
    delivered: int
    """Acknowledged: Kafka has them, on every in-sync replica."""
    dropped_full: int
    """Dropped because max_pending events were waiting, or the spool was full."""
    dropped_undelivered: int
    """Given up: not acknowledged in time, or the emitter was closed. Some may have arrived."""
    refused: int
    """Events that break a rule; not in ``emitted``."""
    pending: int
    """Waiting in memory or in the spool, or on their way."""
    rejected: int = 0
    """Given back by the server, which will never take them."""
    recovered: int = 0
    """Events of earlier processes that were taken up from the spool; not in ``emitted``."""
    spooled: int = 0
    """Left in the spool for the next emitter: 0 until this one is closed."""
    reasons: Mapping[str, int] = field(default_factory=dict, hash=False)
    """How many were ``refused`` or ``rejected`` for which reason, by the code of the rule."""

    def __str__(self) -> str:
        """One sentence for people."""
        total = self.emitted + self.recovered
        lost = self.dropped_full + self.dropped_undelivered + self.rejected
        if lost:
            text = f"{lost:,} of {total:,} usage events were not delivered"
        elif self.pending or self.spooled or not total:
            text = f"{self.delivered:,} of {total:,} usage events were delivered"
        else:
            text = f"all {total:,} usage events were delivered"
        said = [f"{count:,} {words}" for count, words in self._details() if count]
        return f"{text} ({', '.join(said)})" if said else text

    def _details(self) -> list[tuple[int, str]]:
        codes = f": {', '.join(sorted(self.reasons))}" if self.reasons else ""
        return [
            (self.dropped_full, "found no room"),
            (self.dropped_undelivered, "given up"),
            (self.rejected, f"rejected by the server{'' if self.refused else codes}"),
            (self.spooled, "left in the spool for the next emitter"),
            (self.pending, "pending"),
            (self.refused, f"more refused as invalid{codes}"),
        ]
