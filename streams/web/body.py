"""The body of a request: read with limits, unpacked with limits."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import web

from streams.web.refused import RequestRefused

MAX_BODY = 1_048_576
"""Bytes as they are sent..."""
MAX_UNPACKED = 8_388_608
"""...and unpacked: a small body may hold a lot, and all of it is in memory at once."""
MAX_EVENTS = 1_000
"""Per request: what is judged in a tenth of a second, for which all others wait."""
BODY_SECONDS = 30.0
"""For a body to arrive: whoever sends slower holds a place that others wait for."""
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: web.Request, most: int = MAX_BODY) -> bytes:
    """The body, unpacked. The server must not have unpacked it: see `streams.web.app.serving`.

    ``most``: bytes as they are sent.

    Raises RequestRefused: 413 where it is too large, 415 for a packing other than gzip, 400 where
    it cannot be unpacked, 408 where it does not arrive.
    """
    packing = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip"):
        raise RequestRefused(
            415,
            "unsupported_encoding",
            f"content-encoding {packing[:40]!r}: gzip or none would be right",
            {"Accept-Encoding": "gzip, identity"},
        )
    packed = await _read(request, most)
    return unpacked(packed) if packing == "gzip" else packed


def unpacked(packed: bytes) -> bytes:
    """What is in gzip, of one member or several, up to the limit. Raises RequestRefused."""
    parts: list[bytes] = []
    room = MAX_UNPACKED + 1
    rest = packed
    while rest:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(rest, room)
        except zlib.error as error:
            raise RequestRefused(400, "unreadable_body", f"not gzip: {error}") from None
        parts.append(part)
        room -= len(part)
        if room <= 0:
            raise _too_large(MAX_UNPACKED, " when unpacked")
        if not member.eof:
            raise RequestRefused(400, "unreadable_body", "not gzip: it ends too soon")
        rest = member.unused_data
    return b"".join(parts)


async def _read(request: web.Request, most: int) -> bytes:
    if (request.content_length or 0) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise _too_large(most)
    except TimeoutError:
        raise RequestRefused(
            408, "body_timeout", f"the body did not arrive within {BODY_SECONDS:.0f} s"
        ) from None
    except web.RequestPayloadError as error:
        raise RequestRefused(400, "unreadable_body", f"the body cannot be read: {error}") from None
    return bytes(body)


def _too_large(limit: int, when: str = "") -> RequestRefused:
    return RequestRefused(
        413, "body_too_large", f"the body has more than {limit:,} bytes{when}; send it in parts"
    )
