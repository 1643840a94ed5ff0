"""The emitter for ordinary code."""

from __future__ import annotations

from typing import Self

from spendstream._meter import CLOSE_TIMEOUT, Meter
from spendstream._stats import Stats


class Emitter(Meter):
    __doc__ = Meter.__doc__

    def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Wait up to ``timeout`` seconds; True if all that was pending is acknowledged."""
        return self._flush(timeout)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> Stats:
        """Deliver what is pending within ``timeout`` seconds, then stop.

        What is left stays in the spool, or is dropped where there is none. Returns the final
        counts, at most half a second after the timeout. Runs by itself when the
        interpreter exits. May be called again.
        """
        return self._close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
