"""The web stage, one process, asked over HTTP by a few connections at once.

From the first byte of the first request until the last answer, which means that the broker has
acknowledged: broker, web stage and who asks share the machine. The bodies are made beforehand.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence

import aiohttp

from benchmarks.broker import Rate
from benchmarks.events import Usage
from schemas.wire import decode, encode_json
from streams.stack.stack import Stack

EVENTS = 40_000
BATCH = 100
CONNECTIONS = 4


async def posted_rate(stack: Stack, events: Sequence[Usage]) -> Rate:
    """Events per second in requests of a hundred; the stack's stores are up."""
    await stack.start_stages("web")
    bodies = [_body(events[start : start + BATCH]) for start in range(0, EVENTS, BATCH)]
    waiting = iter(bodies)
    async with aiohttp.ClientSession() as http:
        started = time.perf_counter()
        await asyncio.gather(*(_post(http, stack.ingest, waiting) for _ in range(CONNECTIONS)))
        return Rate(EVENTS, time.perf_counter() - started)


def _body(events: Sequence[Usage]) -> bytes:
    return b"[" + b",".join(encode_json(decode(event.value)) for event in events) + b"]"


async def _post(http: aiohttp.ClientSession, address: str, bodies: Iterator[bytes]) -> None:
    headers = {"Content-Type": "application/json"}
    for body in bodies:
        async with http.post(f"{address}/v1/events", data=body, headers=headers) as answer:
            said = await answer.text()
            assert answer.status == 202, said
            assert json.loads(said)["accepted"] == BATCH
