"""AWS event streams from bytes (application/vnd.amazon.eventstream), as Bedrock frames its streams.

A message is its length and that of its headers (4 bytes each, big endian), the CRC-32 of those
eight bytes, the headers, the payload, and the CRC-32 of all before.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

from spendstream.usage._sse import decoded_object

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_LEAST_BYTES = _PRELUDE.size + _CHECKSUM.size
_MOST_BYTES = 24 * 1024 * 1024
"""Of one message; AWS allows payloads of up to 24 MB."""
_TEXT = 7
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; types 6 and 7 say their length."""


class EventStreamDecoder:
    """Bytes in, events out, as `SseDecoder`. Never raises.

    An event's name is its ``:event-type``, or its ``:exception-type``. Damaged bytes end the
    stream: ``ended`` is then True, and the rest is not read.
    """

    def __init__(self) -> None:
        self.ended = False
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[str | None, dict[str, Any]]]:
        """The events that these bytes complete: name (None where it has none) and data."""
        found: list[tuple[str | None, dict[str, Any]]] = []
        if self.ended:
            return found
        self._buffer += data
        while len(self._buffer) >= _PRELUDE.size and not self.ended:
            length, headers, check = _PRELUDE.unpack_from(self._buffer)
            if zlib.crc32(self._buffer[:8]) != check or not self._is_sound(length, headers):
                self.ended = True
            elif len(self._buffer) < length:
                break
            else:
                message = bytes(self._buffer[:length])
                del self._buffer[:length]
                self._take(message, headers, found)
        if self.ended:
            self._buffer.clear()
        return found

    @staticmethod
    def _is_sound(length: int, headers: int) -> bool:
        return _LEAST_BYTES + headers <= length <= _MOST_BYTES

    def _take(
        self, message: bytes, header_bytes: int, found: list[tuple[str | None, dict[str, Any]]]
    ) -> None:
        body_end = len(message) - _CHECKSUM.size
        (check,) = _CHECKSUM.unpack_from(message, body_end)
        if zlib.crc32(message[:body_end]) != check:
            self.ended = True
            return
        payload_start = _PRELUDE.size + header_bytes
        headers = _texts(message[_PRELUDE.size : payload_start])
        payload = decoded_object(message[payload_start:body_end])
        if payload is not None:
            found.append((headers.get(":event-type") or headers.get(":exception-type"), payload))


def _texts(data: bytes) -> dict[str, str]:
    """The headers that are text; reading stops where they make no sense."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name = data[at + 1 : name_end].decode(errors="replace")
        kind = data[name_end] if name_end < len(data) else -1
        at = name_end + 1
        if kind in _SIZES:
            at += _SIZES[kind]
        elif kind in (6, _TEXT):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if kind == _TEXT:
                found[name] = data[at + 2 : end].decode(errors="replace")
            at = end
        else:
            break
    return found
