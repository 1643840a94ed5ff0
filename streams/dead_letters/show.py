"""Letters for the reader. What a producer wrote may hold anything, so nothing is shown unescaped:
a terminal would obey it."""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from schemas.dead_letters import Action, Letter, Status
from schemas.errors import InvalidEvent
from schemas.wire import SchemaLookup, decode_fields, framing_of
from streams.dead_letters.edit import as_json
from streams.dead_letters.verdict import Verdict

SHOWN_BYTES = 4096
"""Of a value, on the screen; `--raw` gives all of it."""
_ROW = 16


def plain(text: str) -> str:
    """Text on one line, with escapes for whatever a terminal would not print."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def plain_bytes(value: bytes | None) -> str:
    """A key or header: as text where it is one, else hexadecimal; a dash where there is none."""
    if value is None:
        return "–"
    text = printable(value)
    return value.hex() if text is None else plain(text)


def printable(value: bytes, *, cut: bool = False) -> str | None:
    """The value as text, None where it is not UTF-8 or has control characters but new lines.

    ``cut``: it may end within a character, which is left out.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(value, final=not cut)
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\t\r\n" for char in text) else None


def hexdump(value: bytes) -> Iterator[str]:
    """Lines of 16 bytes: offset, hexadecimal, ASCII."""
    for start in range(0, len(value), _ROW):
        row = value[start : start + _ROW]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{start:08x}  {row.hex(' '):<{3 * _ROW - 1}}  {text}"


def when(at: datetime | None) -> str:
    """A time (UTC) to the second; a dash where there is none."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def fields_of(letter: Letter, lookup: SchemaLookup) -> Mapping[str, Any] | None:
    """The fields that its value holds, as JSON has them; None where it cannot be read."""
    try:
        framing = framing_of(letter.value, lookup)
        fields = decode_fields(letter.value or b"", framing)
    except InvalidEvent:
        return None
    document: dict[str, Any] = json.loads(as_json(fields))
    return document


def shown(
    letter: Letter,
    status: Status,
    verdict: Verdict,
    trail: Sequence[Action],
    fields: Mapping[str, Any] | None,
) -> Iterator[str]:
    """All about a letter, line by line. Times are UTC."""
    facts = {
        "letter": letter.letter,
        "refused": plain(f"{letter.reason}: {letter.detail}"),
        "status": status,
        "now": plain(verdict.against or "would be accepted") if status == "open" else None,
        "source": f"{letter.source}, partition {letter.partition}, offset {letter.offset}",
        "appended": when(letter.appended_at),
        "key": plain_bytes(letter.key),
    }
    for name, fact in facts.items():
        if fact is not None:
            yield f"{name:<9} {fact}"
    for name, value in letter.headers:
        yield f"{'header':<9} {plain(name)}: {plain_bytes(value)}"
    yield from _value(letter.value)
    if fields is not None and not (letter.value or b"").lstrip().startswith(b"{"):
        yield "fields"
        for name, content in fields.items():
            yield f"  {plain(name)} = {plain(json.dumps(content, ensure_ascii=False))}"
    yield f"{'actions':<9} {len(trail) or 'none'}"
    for action in trail:
        yield f"  {_line(action)}"


def _value(value: bytes | None) -> Iterator[str]:
    if value is None:
        yield f"{'value':<9} none"
        return
    yield f"{'value':<9} {len(value):,} bytes"
    part = value[:SHOWN_BYTES]
    text = printable(part, cut=len(part) < len(value))
    for line in hexdump(part) if text is None else text.splitlines():
        yield f"  {line}"
    if len(value) > SHOWN_BYTES:
        yield f"  … {len(value) - SHOWN_BYTES:,} more bytes: --raw gives all"


def _line(action: Action) -> str:
    parts = [f"{when(action.at)} {action.action} by {plain(action.who)}"]
    if action.partition is not None and action.offset is not None:
        place = "at offset" if action.action == "replayed" else "which ended at"
        parts.append(f"to partition {action.partition}, {place} {action.offset}")
    if action.sha256:
        how = "edited" if action.edited else "as it came"
        parts.append(f"{how}, sha256 {action.sha256[:16]}…")
    if action.note:
        parts.append(plain(action.note))
    return "; ".join(parts)


def as_document(
    letter: Letter,
    status: Status,
    verdict: Verdict,
    trail: Sequence[Action],
    fields: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """All about a letter for machines; bytes in base64."""
    return {
        "letter": letter.letter,
        **_plain_fields(letter),
        "status": status,
        "fields": fields,
        "accepted_now": not verdict.against,
        "against": verdict.against or None,
        "actions": [_jsonable(asdict(action)) for action in trail],
    }


def _plain_fields(letter: Letter) -> dict[str, Any]:
    fields = asdict(letter)
    fields["key"] = encoded(letter.key)
    fields["value"] = encoded(letter.value)
    fields["headers"] = [[name, encoded(value)] for name, value in letter.headers]
    return _jsonable(fields)


def encoded(value: bytes | None) -> str | None:
    """Bytes in base64, for JSON."""
    return None if value is None else base64.b64encode(value).decode()


def _jsonable(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v.isoformat() if isinstance(v, datetime) else v for n, v in fields.items()}
