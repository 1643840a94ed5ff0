"""Events as bytes in a segment of the spool: frames, each with a checksum.

``5E C3 | CRC-32 of the rest | length of key | length of value | key | value``, little endian. A
frame that was cut off or damaged costs that frame: reading goes on at the next one that is whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

MARK = b"\x5e\xc3"
_LENGTHS = struct.Struct("<HI")
_HEAD = struct.Struct("<2sIHI")
MAX_FRAME = 512 * 1024
"""Bytes. The largest event has half of it; a length beyond is damage, not a reason to wait."""


class Frame(NamedTuple):
    """One event. ``end`` is where the next frame starts."""

    end: int
    key: bytes
    value: bytes


def framed(key: bytes, value: bytes) -> bytes:
    """The frame of an event."""
    rest = _LENGTHS.pack(len(key), len(value)) + key + value
    return MARK + crc32(rest).to_bytes(4, "little") + rest


def frames(data: bytes, *, last: bool) -> Iterator[Frame]:
    """The whole frames in ``data``, which starts with one. ``last``: nothing follows the data.

    Where something follows, a frame that is not complete ends the iteration: read on from the last
    ``end``. Otherwise what is no frame is skipped.
    """
    at = 0
    while len(data) - at >= _HEAD.size:
        mark, checksum, key_length, value_length = _HEAD.unpack_from(data, at)
        value_at = at + _HEAD.size + key_length
        end = value_at + value_length
        sane = mark == MARK and end - at <= MAX_FRAME
        if sane and end > len(data) and not last:
            return
        if sane and end <= len(data) and crc32(data[at + 6 : end]) == checksum:
            yield Frame(end, data[at + _HEAD.size : value_at], data[value_at:end])
            at = end
            continue
        at = data.find(MARK, at + 1)
        if at < 0:
            return
