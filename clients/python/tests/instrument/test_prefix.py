"""The part of a prompt that stays: what its hash knows, and how many tokens it has."""

from __future__ import annotations

import pytest
from spendstream._prefix import prefix_of

SYSTEM = {"role": "system", "content": "Answer in one sentence."}
TOOLS = [{"type": "function", "function": {"name": "look_up"}}]


def asked(question: str = "Why?", **fields: object) -> dict[str, object]:
    return {"messages": [SYSTEM, {"role": "user", "content": question}], **fields}


def hash_of(request: dict[str, object]) -> str:
    prefix = prefix_of(request)
    assert prefix is not None
    return prefix.hash


def test_another_question_keeps_the_prefix():
    known = hash_of(asked(tools=TOOLS))
    assert len(known) == 32
    assert hash_of(asked("How?", tools=TOOLS, model="other", temperature=1)) == known
    assert hash_of(asked()) != known
    assert hash_of({"system": "Be brief.", **asked(tools=TOOLS)}) != known


@pytest.mark.parametrize(
    "request_",
    [
        {"system": "Be brief.", "messages": [{"role": "user", "content": "Why?"}]},
        {"instructions": "Be brief.", "input": "Why?"},
        {
            "input": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "?"},
            ]
        },
        {"tools": TOOLS, "messages": [{"role": "user", "content": "Why?"}]},
    ],
    ids=lambda request: next(iter(request)),
)
def test_every_way_to_say_what_stays_is_known(request_):
    prefix = prefix_of(request_)
    assert prefix is not None
    assert prefix.characters is not None
    assert 0 < prefix.characters < prefix.of


@pytest.mark.parametrize(
    "request_", [{}, {"input": "Why?"}, {"messages": [{"role": "user", "content": "Why?"}]}]
)
def test_a_prompt_of_which_nothing_stays_has_none(request_):
    assert prefix_of(request_) is None


def test_a_system_message_behind_a_question_is_no_part_of_it():
    late = [SYSTEM, {"role": "user", "content": "Why?"}, SYSTEM]
    assert hash_of({"messages": late}) == hash_of(asked())


def test_its_tokens_are_those_of_the_prompt_by_the_share_of_characters_rounded_down():
    prefix = prefix_of({"system": "x" * 298, "messages": ["y" * 98]})  # two quotes each
    assert prefix is not None
    assert prefix.tokens({"input_tokens": 9, "cache_read_tokens": 2, "output_tokens": 50}) == 8
    assert prefix.tokens({"output_tokens": 50}) is None
    whole = prefix_of({"system": "Be brief."})
    assert whole is not None
    assert whole.tokens({"input_tokens": 7}) == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"previous_response_id": "resp_1"},
        {"messages": [SYSTEM, {"role": "user", "content": [{"type": "image_url"}]}]},
    ],
)
def test_where_characters_say_nothing_of_tokens_their_number_is_not_known(changes):
    prefix = prefix_of(asked() | changes)
    assert prefix is not None
    assert prefix.tokens({"input_tokens": 100}) is None
