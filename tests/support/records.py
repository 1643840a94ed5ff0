"""Records of the usage topic, without a broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """What the meter reads of one record; ``timestamp`` in milliseconds since 1970, UTC: the last
    second of 2099, so that no event is from its future."""

    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 4_102_444_799_000
    headers: Sequence[tuple[str, bytes]] = ()
