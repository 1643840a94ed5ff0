"""Rebuilding the id windows from the log, after an assignment or a lost race."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.batch import INDEX
from schemas.errors import SpendstreamError
from streams.kafka import consumer, end_offsets
from streams.metering.dedupe import IdWindow
from streams.metering.events import Read
from streams.settings import Settings


class LogWentBack(SpendstreamError):
    """The usage log ends before what was metered from it: its offsets mean other events now.

    A broker that lost acknowledged records, or a topic that was made anew under the same name.
    """

    def __init__(self, tp: TopicPartition, due: int, found: int) -> None:
        super().__init__(
            f"{tp.topic}[{tp.partition}] went back: offset {due} is due next, and the log is at "
            f"{found}; metering it again would count events twice. Give the topic another name or "
            "the cluster another id, and what it holds is metered as a new source"
        )


async def rebuilt_windows(
    settings: Settings,
    topic: str,
    next_offsets: Mapping[int, int],
    read: Read,
    earlier_ids: Callable[[], Collection[str]],
) -> dict[int, IdWindow]:
    """Windows as they stand before each partition's next offset. Raises LogWentBack.

    ``earlier_ids`` are asked for once, if a log is so young that a broker before it may have held
    the first event of an id.
    """
    horizon = settings.dedupe_horizon
    starts = {p: IdWindow.rebuild_from(n, horizon) for p, n in next_offsets.items()}
    young = any(start == 0 for start in starts.values())
    prior = await asyncio.to_thread(earlier_ids) if young else frozenset()
    windows = {p: IdWindow(horizon, prior if starts[p] == 0 else frozenset()) for p in starts}
    wanted = {TopicPartition(topic, p): n for p, n in next_offsets.items() if n > starts[p]}
    if not wanted:
        return windows
    reader = consumer(settings)
    await reader.start()
    try:
        reader.assign(list(wanted))
        for tp, end in (await end_offsets(reader, wanted)).items():
            if end < wanted[tp]:
                raise LogWentBack(tp, wanted[tp], end)
        for tp, following in wanted.items():
            beginning = (await reader.beginning_offsets([tp]))[tp]
            reader.seek(tp, min(max(beginning, starts[tp.partition]), following))
        while pending := [tp for tp, n in wanted.items() if await reader.position(tp) < n]:
            reader.pause(*(wanted.keys() - set(pending)))
            await _read_some(reader, wanted, windows, read)
    finally:
        await reader.stop()
    return windows


async def _read_some(
    reader: AIOKafkaConsumer,
    wanted: Mapping[TopicPartition, int],
    windows: Mapping[int, IdWindow],
    read: Read,
) -> None:
    batches = await reader.getmany(timeout_ms=500, max_records=50_000)
    for tp, batch in batches.items():
        records = [record for record in batch if record.offset < wanted[tp]]
        events, _ = await asyncio.to_thread(read, records)
        index = events[INDEX].to_list()
        windows[tp.partition].observe(
            [records[i].offset for i in index],
            events["event_id"].to_list(),
            [hash(records[i].value) for i in index],
        )
