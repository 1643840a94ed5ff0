"""Server-sent events from bytes, however they are cut (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A body that never ends a line is no event stream: it may not fill the memory."""
_LINE_END = re.compile(rb"\r\n?|\n")
_BOM = b"\xef\xbb\xbf"


def decoded_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object in ``data``; None where it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class SseDecoder:
    """Bytes in, events out. Never raises.

    What is no JSON object is passed over. After ``[DONE]``, or an event of more than
    MAX_EVENT_BYTES, the rest is not read: ``ended`` is then True.
    """

    def __init__(self) -> None:
        self.ended = False
        self._buffer = bytearray()
        self._searched = 0
        self._after_cr = False
        self._first_line = True
        self._event: str | None = None
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, data: bytes) -> list[tuple[str | None, dict[str, Any]]]:
        """The events that these bytes complete: name (None where it has none) and data."""
        if self._after_cr and data:
            self._after_cr = False
            data = data[1:] if data[:1] == b"\n" else data
        if self.ended or not data:
            return []
        self._buffer += data
        found: list[tuple[str | None, dict[str, Any]]] = []
        for line in self._lines():
            if self._take(line, found):
                self.ended = True
                break
        if len(self._buffer) + self._data_bytes > MAX_EVENT_BYTES:
            self.ended = True
        if self.ended:
            self._buffer.clear()
            self._data.clear()
        return found

    def _lines(self) -> list[bytes]:
        lines = []
        start = 0
        for end in _LINE_END.finditer(self._buffer, self._searched):
            lines.append(bytes(self._buffer[start : end.start()]))
            start = end.end()
        self._after_cr = start == len(self._buffer) and self._buffer[-1:] == b"\r"
        del self._buffer[:start]
        self._searched = len(self._buffer)
        return lines

    def _take(self, line: bytes, found: list[tuple[str | None, dict[str, Any]]]) -> bool:
        """Take in a line; True where it ends the stream."""
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch(found)
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"data":
            self._data.append(value)
            self._data_bytes += len(value)
        return False

    def _dispatch(self, found: list[tuple[str | None, dict[str, Any]]]) -> bool:
        event, data = self._event or None, b"\n".join(self._data)
        self._event = None
        self._data.clear()
        self._data_bytes = 0
        if data.strip() == b"[DONE]":
            return True
        value = decoded_object(data) if data else None
        if value is not None:
            found.append((event, value))
        return False
