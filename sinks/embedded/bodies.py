"""Request and response bodies in the encodings that ClickHouse's HTTP clients use."""

import gzip
import zlib
from typing import IO, Final, Protocol

import lz4.frame
import zstandard

from sinks.embedded.errors import (
    CANNOT_DECOMPRESS,
    TOO_MANY_BYTES,
    UNKNOWN_COMPRESSION_METHOD,
    QueryError,
)

# ClickHouse's own default (http_zlib_compression_level): on loopback a higher level costs more
# time than the bytes that it saves.
_LEVEL: Final = 3

_CORRUPT = (EOFError, OSError, RuntimeError, zlib.error, zstandard.ZstdError)


def too_large(limit: int) -> QueryError:
    """The error of a body over ``limit`` bytes, as sent or decompressed."""
    return QueryError(
        TOO_MANY_BYTES,
        f"The body is larger than {limit} bytes: send smaller batches. (TOO_MANY_BYTES)",
    )


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Body:
    """The plain bytes of a request body, decompressed while they are read.

    Args:
        spool: what was received, from its first byte.
        encoding: the Content-Encoding: empty, identity, lz4, zstd or gzip.
        limit: bytes, decompressed: a small body that unpacks to more than that is refused
            before it fills the memory.

    Raises:
        QueryError: on construction, 89 for an unknown encoding; on a read, 271 if the body is
            corrupt and 307 if it is over the limit.
    """

    def __init__(self, spool: IO[bytes], encoding: str, limit: int) -> None:
        self._limit = limit
        self._read = 0
        self._stream = _plain(spool, encoding)

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty only at the end."""
        try:
            chunk = self._stream.read(size)
        except _CORRUPT as error:
            raise QueryError(
                CANNOT_DECOMPRESS, f"Cannot decompress the body: {error}. (CANNOT_DECOMPRESS)"
            ) from error
        self._read += len(chunk)
        if self._read > self._limit:
            raise too_large(self._limit)
        return chunk


def _plain(spool: IO[bytes], encoding: str) -> _Readable:
    match encoding.lower():
        case "" | "identity":
            return spool
        case "gzip":
            # Without the mode it takes that of the spool, which is also written to.
            return gzip.GzipFile(fileobj=spool, mode="rb")
        case "lz4":
            stream: _Readable = lz4.frame.LZ4FrameFile(spool)
            return stream
        case "zstd":
            # clickhouse-connect sends one frame per block.
            return zstandard.ZstdDecompressor().stream_reader(spool, read_across_frames=True)
        case _:
            raise QueryError(
                UNKNOWN_COMPRESSION_METHOD,
                f"Unknown Content-Encoding {encoding}: lz4, zstd and gzip are known. "
                "(UNKNOWN_COMPRESSION_METHOD)",
            )


def accepted_encoding(accept: str) -> str:
    """The first encoding of an Accept-Encoding header that is known here, or an empty string."""
    for entry in accept.lower().split(","):
        name, _, quality = entry.partition(";")
        if name.strip() in ("lz4", "zstd", "gzip") and quality.strip() not in ("q=0", "q=0.0"):
            return name.strip()
    return ""


def compressed(data: bytes, encoding: str) -> bytes:
    """``data`` in an encoding that :func:`accepted_encoding` named."""
    match encoding:
        case "lz4":
            packed: bytes = lz4.frame.compress(data)
            return packed
        case "zstd":
            return zstandard.ZstdCompressor(level=_LEVEL).compress(data)
        case "gzip":
            return gzip.compress(data, compresslevel=_LEVEL)
        case _:
            return data
