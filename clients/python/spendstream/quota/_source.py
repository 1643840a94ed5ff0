"""Where quotas are read: one interface for the topic and the web stage."""

from __future__ import annotations

from typing import Any, Protocol

from spendstream.quota._records import Stamp


class Away(Exception):
    """The source cannot be read now; the text says why, in one line."""


class Reading(Protocol):
    """Takes what one connection brings."""

    def record(self, key: str, value: Any, stamp: Stamp | None) -> None:
        """A record as a JSON object, or None: it is removed as of ``stamp``."""

    def caught_up(self) -> None:
        """All that was there when the connection was made was brought."""


class Source(Protocol):
    """Reads everything from the beginning and goes on, again for each call of `read`."""

    async def read(self, reading: Reading) -> None:
        """Read until cancelled. Raises Away."""
