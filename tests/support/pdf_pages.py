"""Pages of a PDF, as text and as pictures.

    python -m tests.support.pdf_pages board.pdf docs/board.png docs/board-2.png

writes a PNG of each page.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pypdfium2

_SCALE = 1.6
"""Pixels for a 72nd of an inch."""


def page_texts(pdf: bytes) -> list[str]:
    """The text of each page, with single blanks between words."""
    with _opened(pdf) as document:
        texts = []
        for number in range(len(document)):
            page = document[number]
            text = page.get_textpage()
            texts.append(re.sub(r"\s+", " ", text.get_text_bounded()))
            text.close()
            page.close()
        return texts


def page_pngs(pdf: bytes, scale: float = _SCALE) -> list[bytes]:
    """A picture of each page."""
    with _opened(pdf) as document:
        pictures = []
        for number in range(len(document)):
            page = document[number]
            bitmap = page.render(scale=scale, rev_byteorder=True)
            pixels, stride, wide = bytes(bitmap.buffer), bitmap.stride, bitmap.width * 3
            lines = [pixels[at : at + wide] for at in range(0, stride * bitmap.height, stride)]
            assert bitmap.n_channels == 3
            pictures.append(_png(bitmap.width, bitmap.height, lines))
            bitmap.close()
            page.close()
        return pictures


def _png(width: int, height: int, lines: list[bytes]) -> bytes:
    """RGB, eight bits a colour (https://www.w3.org/TR/png-3/)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@contextmanager
def _opened(pdf: bytes) -> Iterator[pypdfium2.PdfDocument]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        yield document
    finally:
        document.close()


if __name__ == "__main__":
    for picture, name in zip(page_pngs(Path(sys.argv[1]).read_bytes()), sys.argv[2:], strict=True):
        Path(name).write_bytes(picture)
