"""Identical requests at the same time: one flies, the others wait and find its answer in the cache.

The hook can neither answer a request nor share an answer: it can make a request wait. So the
answer is LiteLLM's own, from its response cache, and a request that waited is an ordinary cache
hit. Without such a cache nothing is gained by waiting, and nobody waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

WAIT_SECONDS = 60.0
"""Longer than most answers take; a request whose leader is never heard of again goes on alone."""
_NO_PARAMETERS = frozenset(
    {
        *("litellm_call_id", "litellm_logging_obj", "litellm_metadata", "metadata", "user"),
        *("proxy_server_request", "secret_fields", "litellm_trace_id", "litellm_session_id"),
    }
)


class Flight:
    """A request that is being answered, and those that wait for it."""

    def __init__(self, key: str, over: asyncio.Future[bool]) -> None:
        self.key = key
        self.over = over


class Flights:
    """One event loop's requests in flight, by what they ask for."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._by_key: dict[str, Flight] = {}

    async def join(self, key: str) -> Flight | None:
        """Wait for an identical request that is in flight, if there is one.

        Returns the flight that this request leads, to be ended with `end`; None where it has
        waited and an answer is there, or has waited for too long.
        """
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        while True:
            ahead = self._by_key.get(key)
            if ahead is None:
                flight = Flight(key, asyncio.get_running_loop().create_future())
                self._by_key[key] = flight
                return flight
            try:
                async with asyncio.timeout_at(deadline):
                    answered = await asyncio.shield(ahead.over)
            except TimeoutError:
                if self._by_key.get(key) is ahead:
                    del self._by_key[key]
                return None
            if answered:
                return None

    def end(self, flight: Flight, *, answered: bool) -> None:
        """Let those who wait go on; where there is no answer, one of them leads next."""
        if self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]
        if not flight.over.done():
            flight.over.set_result(answered)


def parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request is for a model, and not for the proxy."""
    return {name: value for name, value in data.items() if name not in _NO_PARAMETERS}


def flight_key(data: Mapping[str, Any], who: str | None, *, cached: bool) -> str | None:
    """What makes two requests identical: prompt, model, every parameter, and the team.

    None for streams, for requests that the cache does not answer, and for what is no JSON.
    ``cached``: whether the cache answers requests that say nothing of it.
    """
    said = data.get("cache")
    options = said if isinstance(said, Mapping) else {}
    if data.get("stream") or options.get("no-cache") or options.get("no-store"):
        return None
    if not cached and not options.get("use-cache"):
        return None
    try:
        canonical = json.dumps([who, parameters(data)], sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError):
        return None
    return hashlib.sha256(canonical.encode()).hexdigest()
