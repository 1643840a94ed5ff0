"""Dead letters: a refused record as it came, plus why, and where it stood."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from schemas.topics import (
    CUT_HEADER,
    DEAD_LETTERS,
    DETAIL_HEADER,
    OFFSET_HEADER,
    PARTITION_HEADER,
    REASON_HEADER,
    SOURCE_HEADER,
)
from streams.metering.batch import DeadLetter

KEPT_OF_TOO_LARGE = 65_536
"""Of a record that the dead-letter topic does not take: enough to see what it is."""


def dead_letter(letter: DeadLetter, source: str) -> dict[str, Any]:
    """Arguments for the producer: original key, value, headers and time; then ours.

    A record with neither key nor value, which a producer cannot send, gets an empty value.
    """
    record = letter.record
    nothing = record.key is None and record.value is None
    return {
        "key": record.key,
        "value": b"" if nothing else record.value,
        "timestamp_ms": record.timestamp,
        "headers": [
            *record.headers,
            (SOURCE_HEADER, source.encode()),
            (PARTITION_HEADER, str(record.partition).encode()),
            (OFFSET_HEADER, str(record.offset).encode()),
            (REASON_HEADER, letter.refusal.code.encode()),
            (DETAIL_HEADER, letter.refusal.detail.encode()),
        ],
    }


def cut_dead_letter(letter: DeadLetter, source: str) -> dict[str, Any]:
    """The same for a record that is too large: its beginning, and what it was in full.

    The original's headers are left out: they may be what is too large.
    """
    value = letter.record.value or b""
    whole = f"{len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()}".encode()
    own = dead_letter(letter, source)["headers"][len(letter.record.headers) :]
    return {
        "key": (letter.record.key or b"")[:KEPT_OF_TOO_LARGE],
        "value": value[:KEPT_OF_TOO_LARGE],
        "timestamp_ms": letter.record.timestamp,
        "headers": [*own, (CUT_HEADER, whole)],
    }


async def bury_all(producer: AIOKafkaProducer, letters: Sequence[DeadLetter], source: str) -> None:
    """Write dead letters; returns when all are acknowledged. Raises KafkaError."""

    async def bury(letter: DeadLetter) -> None:
        try:
            await producer.send_and_wait(DEAD_LETTERS, **dead_letter(letter, source))
        except MessageSizeTooLargeError:
            await producer.send_and_wait(DEAD_LETTERS, **cut_dead_letter(letter, source))

    await asyncio.gather(*(bury(letter) for letter in letters))
