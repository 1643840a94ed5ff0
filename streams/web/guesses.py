"""A limit on how often somebody may be wrong."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_WRONG = 10
"""In a minute, by one address: a person who pastes the wrong token; a program gets nowhere."""
WINDOW_SECONDS = 60.0
MOST_ADDRESSES = 10_000
"""That are remembered, the newest: memory has an end, and addresses have not."""


class Guesses:
    """Wrong tokens by the address that they came from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 where it may now."""
        wrong = self._recent(address)
        if len(wrong) < MOST_WRONG:
            return 0.0
        return max(0.0, wrong[-MOST_WRONG] + WINDOW_SECONDS - self._clock())

    def wrong(self, address: str) -> None:
        """It was wrong once more."""
        self._wrong[address] = [*self._recent(address), self._clock()][-MOST_WRONG:]
        self._wrong.move_to_end(address)
        while len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - WINDOW_SECONDS
        return [at for at in self._wrong.get(address, []) if at > since]
