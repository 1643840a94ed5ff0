"""Records of the usage topic, without a broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """What the meter reads of one record; ``timestamp`` in milliseconds since 1970, UTC."""

    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 1_793_534_400_000
    headers: Sequence[tuple[str, bytes]] = ()
