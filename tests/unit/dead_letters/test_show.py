"""What is shown of a letter: all of it, and nothing that a terminal would obey."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest

from schemas.dead_letters import Action, Letter
from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from streams.dead_letters.show import SHOWN_BYTES, as_document, fields_of, hexdump, plain, shown
from streams.dead_letters.verdict import Verdict
from tests.support.events import call

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
AVRO = encode(UsageEvent.model_validate(call("e1", "search", 100)))


def letter(value: bytes | None, **changes: object) -> Letter:
    fields: dict[str, object] = {
        "source": "cluster/llm.usage",
        "partition": 3,
        "offset": 17,
        "key": b"search",
        "value": value,
        "headers": (("trace", b"00-1"), ("bin", b"\xff"), ("none", None)),
        "appended_at": AT,
        "reason": "unknown_field",
        "detail": "colour is no field",
    }
    return Letter(**fields | changes)  # type: ignore[arg-type]


def lines(of: Letter, *trail: Action, against: str = "") -> list[str]:
    verdict = Verdict(of, of.value, against=against)
    return list(shown(of, "open", verdict, trail, fields_of(of, no_registry)))


def test_a_letter_is_shown_with_place_reason_headers_bytes_verdict_and_trail():
    of = letter(b'{"colour": "blue"}')
    sent = Action(of.letter, "replayed", AT, "ann@host", "typo", "ab" * 32, True, "c", 3, 99)
    text = "\n".join(lines(of, sent, against="still refused: missing_field: team is required"))
    for part in (
        of.letter,
        "unknown_field: colour is no field",
        "now       still refused: missing_field",
        "cluster/llm.usage, partition 3, offset 17",
        "2026-11-01 12:00:00",
        "trace: 00-1",
        "bin: ff",
        "none: –",
        '{"colour": "blue"}',
        "18 bytes",
        "replayed by ann@host; to partition 3, at offset 99; edited, sha256 abababababababab…; ty",
    ):
        assert part in text, part


def test_what_is_no_text_is_a_hexdump_and_the_fields_of_avro_are_named():
    text = lines(letter(AVRO))
    assert any(line.startswith("  00000000  c3 01") for line in text)
    assert '  team = "search"' in text
    assert "  input_tokens = 100" in text


def test_a_hexdump_has_every_byte():
    value = bytes(range(256))
    rows = list(hexdump(value + b"\x01"))
    assert bytes.fromhex("".join(row[10:58] for row in rows)) == value + b"\x01"
    assert rows[2] == f"00000020  {value[32:48].hex(' ')}  {value[32:48].decode()}"


@pytest.mark.parametrize(("value", "size"), [(None, "none"), (b"", "0 bytes")])
def test_no_value_and_an_empty_one_are_told_apart(value, size):
    assert f"value     {size}" in lines(letter(value))


@pytest.mark.parametrize(
    ("value", "first"),
    [(b"x" * 6000, "  xxx"), (b"\xff" * 6000, "  00000000  ff"), ("€" * 2000, "  €€€")],
)
def test_of_a_large_value_the_beginning_is_shown_and_how_much_is_missing(value, first):
    text = lines(letter(value if isinstance(value, bytes) else value.encode()))
    assert any(line.startswith(first) for line in text)
    assert any(f"{6000 - SHOWN_BYTES:,} more bytes" in line for line in text)
    assert sum(map(len, text)) < 6 * SHOWN_BYTES


def test_nothing_that_a_terminal_would_obey_is_shown():
    evil = "\x1b]0;owned\x07\u202e\r"
    of = letter(
        evil.encode(),
        key=evil.encode(),
        headers=((evil, evil.encode()),),
        detail=evil,
    )
    action = Action(of.letter, "dropped", AT, evil, evil)
    for line in lines(of, action, against=evil):
        assert line.isprintable(), line
    assert plain("a\x1bß\n") == "a\\x1bß\\n"


def test_for_machines_every_byte_is_there_in_base64():
    of = letter(AVRO)
    action = Action(of.letter, "dropped", AT, "ann@host", "load test")
    verdict = Verdict(of, of.value, against="still refused")
    document = as_document(of, "dropped", verdict, [action], fields_of(of, no_registry))
    read = json.loads(json.dumps(document))
    assert base64.b64decode(read["value"]) == AVRO
    assert read["headers"] == [["trace", "MDAtMQ=="], ["bin", "/w=="], ["none", None]]
    assert [read[n] for n in ("status", "accepted_now", "against")] == [
        "dropped",
        False,
        "still refused",
    ]
    assert read["fields"]["team"] == "search"
    assert read["appended_at"] == "2026-11-01T12:00:00+00:00"
    (line,) = read["actions"]
    assert (line["action"], line["who"], line["note"]) == ("dropped", "ann@host", "load test")
