"""Values that are no usage events, for the demo's dead letters: one every five seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from schemas.usage import UsageEvent
from schemas.wire import encode, encode_json
from streams.traffic.demo_calls import TICK, TICKS_PER_SECOND, Run

SECONDS_BETWEEN = 5


def bad_values(start: datetime, seconds: int, seed: int = 0) -> Iterator[list[bytes]]:
    """For each tick of 100 ms the raw values that a broken producer sends, mostly none.

    In turn: cut-off JSON, token counts that do not add up, no team, cut-off Avro, plain text.
    """
    run = Run(start, seconds, seed)
    every = SECONDS_BETWEEN * TICKS_PER_SECOND
    for tick in range(run.ticks):
        number, rest = divmod(tick, every)
        yield [_bad_value(run, tick, number)] if rest == every // 2 else []


def _bad_value(run: Run, tick: int, number: int) -> bytes:
    good = UsageEvent(
        event_id=f"{run.name}:bad:{number}",
        occurred_at=run.start + tick * TICK,
        provider="openai",
        model="gpt-4o-mini",
        team="legacy",
        application="old-exporter",
        usage_source="reported",
        input_tokens=400 + number,
        output_tokens=60,
    )
    fields = json.loads(encode_json(good))
    match number % 5:
        case 0:
            return encode_json(good)[:-20]
        case 1:
            return json.dumps(fields | {"total_tokens": 400 + number}).encode()
        case 2:
            del fields["team"]
            return json.dumps(fields).encode()
        case 3:
            return encode(good)[:-12]
        case _:
            return b"usage: 460 tokens"
