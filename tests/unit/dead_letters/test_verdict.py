"""Which letters are sent: those that the meter takes now, and that are not counted yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.dead_letters import Letter
from schemas.wire import no_registry
from streams.dead_letters.edit import Edit, parse_edit
from streams.dead_letters.verdict import Judge, Place
from streams.rating.pricebook import PriceBook
from streams.schema_registry import RegistryUnavailable
from tests.support.events import call


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load(None)


def letter(offset: int, value: bytes | None) -> Letter:
    return Letter("cluster/llm.usage", 0, offset, b"search", value, (), None, "poison", "")


def event(number: int, **changes: Any) -> bytes:
    return json.dumps(call(f"e{number}", "search", 100) | changes).encode()


def nowhere(_: Sequence[str]) -> Mapping[str, Place]:
    return {}


def test_what_is_still_refused_is_told_from_what_would_be_taken(book):
    letters = [letter(0, b"{"), letter(1, event(1)), letter(2, None), letter(3, event(3))]
    verdicts = Judge(book, no_registry, nowhere).judge(letters, Edit())
    assert [v.letter for v in verdicts] == letters
    assert [v.event_id for v in verdicts] == [None, "e1", None, "e3"]
    assert verdicts[0].against.startswith("still refused: undecodable_json: ")
    assert verdicts[2].against.startswith("still refused: empty_value: ")
    assert [(v.value, v.against, v.edited) for v in verdicts[1::2]] == [
        (event(1), "", False),
        (event(3), "", False),
    ]


def test_the_edit_is_judged_and_not_the_original(book):
    letters = [letter(0, event(0, colour="blue")), letter(1, event(1)), letter(2, b"{")]
    verdicts = Judge(book, no_registry, nowhere).judge(letters, parse_edit(removed=["colour"]))
    assert (verdicts[0].against, verdicts[0].edited) == ("", True)
    assert verdicts[1].against == "it has no field 'colour' to remove"
    assert verdicts[2].against.startswith("its fields cannot be read (undecodable_json)")
    assert json.loads(verdicts[0].value or b"") == json.loads(event(0))


def test_an_event_that_was_counted_meanwhile_is_not_sent(book):
    asked: list[str] = []

    def archive(ids: Sequence[str]) -> Mapping[str, Place]:
        asked.extend(ids)
        return {"e1": ("cluster/llm.usage", 2, 40)}

    letters = [letter(0, event(0)), letter(1, event(1)), letter(2, b"{")]
    verdicts = Judge(book, no_registry, archive).judge(letters, Edit())
    assert asked == ["e0", "e1"]
    assert verdicts[0].against == ""
    assert "'e1' is counted already, from partition 2, offset 40" in verdicts[1].against


def test_of_letters_with_one_event_id_only_the_first_is_sent(book):
    judge = Judge(book, no_registry, nowhere)
    first, second, third = (letter(n, event(7)) for n in range(3))
    verdicts = [*judge.judge([first, second], Edit()), *judge.judge([third], Edit())]
    assert verdicts[0].against == ""
    for verdict in verdicts[1:]:
        assert f"'e7' is that of letter {first.letter}" in verdict.against


def test_an_event_of_the_future_waits_until_its_time_has_come(book):
    now = datetime.now(UTC)
    times = [now + timedelta(days=1), now]
    letters = [letter(n, event(n, occurred_at=at.isoformat())) for n, at in enumerate(times)]
    early, due = Judge(book, no_registry, nowhere).judge(letters, Edit())
    assert early.against.startswith("still refused: time_in_future")
    assert due.against == ""


def test_a_registry_that_cannot_be_asked_is_no_verdict(book):
    def away(_: int) -> None:
        raise RegistryUnavailable("away")

    with pytest.raises(RegistryUnavailable):
        Judge(book, away, nowhere).judge([letter(0, b"\x00\x00\x00\x00\x07datum")], Edit())
