"""The idiomatic faust agent: a process that counts what teams spend as faust's documentation does.

`async for` over a topic, Avro decoded with fastavro, a windowed table with its changelog on the
broker, in-memory store. It prices nothing, drops no duplicate and checks nothing. Run as
`python -m benchmarks.faust_agent BROKER EVENTS RESULT_FILE`; writes the seconds from the first
event to the last.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import faust
from fastavro import schemaless_reader

from benchmarks.events import PARTITIONS
from schemas.avro_files import newest_usage_schema
from schemas.topics import USAGE
from schemas.wire import SINGLE_OBJECT_HEADER

WINDOW = timedelta(minutes=1)


def create_app(broker: str, count: int, result: Path) -> faust.App:
    """An app that stops itself after so many events."""
    app = faust.App(
        "faust-agent",
        broker=f"aiokafka://{broker}",
        store="memory://",
        datadir=str(result.parent / "faust"),
        value_serializer="raw",
        key_serializer="raw",
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        topic_replication_factor=1,
        topic_partitions=PARTITIONS,
        web_enabled=False,
        stream_wait_empty=False,
    )
    usage = app.topic(USAGE, key_type=bytes, value_type=bytes)
    spent = app.Table("spent", default=int, partitions=PARTITIONS).tumbling(WINDOW)
    schema = newest_usage_schema().parsed
    seen = 0
    started = 0.0

    def report(seconds: float) -> None:
        result.write_text(str(seconds))

    @app.agent(usage)
    async def count_tokens(stream: AsyncIterator[bytes]) -> None:
        nonlocal seen, started
        async for value in stream:
            if seen == 0:
                started = time.perf_counter()
            event = schemaless_reader(BytesIO(value[SINGLE_OBJECT_HEADER:]), schema)
            spent[event["team"]] += (event["input_tokens"] or 0) + (event["output_tokens"] or 0)
            seen += 1
            if seen == count:
                report(time.perf_counter() - started)

    return app


if __name__ == "__main__":
    worker = faust.Worker(
        create_app(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])), loglevel="warning"
    )
    worker.execute_from_commandline()
