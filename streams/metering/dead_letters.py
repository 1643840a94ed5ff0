"""Dead letters: a refused record as it came, plus why, and where it stood."""

from __future__ import annotations

from typing import Any

from schemas.topics import (
    DETAIL_HEADER,
    OFFSET_HEADER,
    PARTITION_HEADER,
    REASON_HEADER,
    SOURCE_HEADER,
)
from streams.metering.batch import DeadLetter


def dead_letter(letter: DeadLetter, source: str) -> dict[str, Any]:
    """Arguments for the producer: original key, value, headers and time; then ours."""
    record = letter.record
    return {
        "key": record.key,
        "value": record.value,
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
