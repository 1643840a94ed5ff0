"""What has come of an answer so far, whole or streamed, and the usage that it says."""

from __future__ import annotations

from typing import Any

from spendstream._fields import UsageFields
from spendstream._instrument_calls import Call
from spendstream.usage import SseDecoder, StreamReader, read_usage
from spendstream.usage._sse import decoded_object

MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Of a body that is read when it is whole. A larger one must not be held in memory twice."""


class Answer:
    """Takes in the bytes of one response, as they come from the wire.

    A stream is read event by event. A whole body, and a compressed stream, is kept until its end.
    """

    def __init__(self, call: Call, response: Any) -> None:
        self.status: int = response.status_code
        self.headers: dict[str, str] = dict(response.headers)
        self._call = call
        self._response_class = type(response)
        kind = self.headers.get("content-type", "")
        self._streamed = "event-stream" in kind or (call.streams and "json" not in kind)
        self._encoded = self.headers.get("content-encoding", "identity") != "identity"
        self._decoder = SseDecoder()
        self._reader = StreamReader(call.provider, call.request, self.headers)
        self._kept: list[bytes] = []
        self._kept_bytes = 0

    @property
    def ended(self) -> bool:
        """Whether the stream has said that it is at its end; not all do."""
        return self._decoder.ended

    @property
    def cut_off(self) -> bool:
        """Whether this is a stream that has not said that it is at its end."""
        return self._streamed and not self._decoder.ended

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        if self._streamed and not self._encoded:
            self._read(data)
        elif self._kept_bytes <= MAX_KEPT_BYTES:
            self._kept.append(data)
            self._kept_bytes += len(data)

    def decoded(self, body: bytes) -> None:
        """Take in the whole body at once, where the client has it already."""
        self._encoded = False
        self.feed(body)

    def usage(self, complete: bool) -> UsageFields:
        """The fields that are known so far. ``complete``: whether the body was read to its end.

        Raises what the client's library raises for a body that cannot be decompressed.
        """
        body = self._body() if self._kept_bytes <= MAX_KEPT_BYTES else b""
        if not self._streamed:
            said = decoded_object(body)
            return read_usage(self._call.provider, said, self._call.request, self.headers)
        self._read(body)
        return self._reader.usage(complete or self._decoder.ended)

    def _read(self, data: bytes) -> None:
        for event, chunk in self._decoder.feed(data):
            self._reader.feed(chunk, event)

    def _body(self) -> bytes:
        body = b"".join(self._kept)
        self._kept.clear()
        if not body or not self._encoded:
            return body
        # The client's library knows the codecs that it has asked the server for.
        whole = self._response_class(self.status, headers=self.headers, content=body)
        return bytes(whole.content)
