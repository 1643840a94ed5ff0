"""Questions as gateways ask them, and what is wrong with those that cannot be answered."""

from __future__ import annotations

import pytest

from schemas.errors import UserError
from schemas.usage import MAX_TEXT
from streams.quotas.question import read_question


def test_a_question_names_any_attributes_of_a_call():
    asked = [("team", "search"), ("user", "a&b"), ("use_case", "摘要")]
    assert read_question(asked) == dict(asked)
    assert read_question([]) == {}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([("taem", "a")], "taem: a call has no such attribute; did you mean team?"),
        ([("useCase", "a")], "useCase: a call has no such attribute; did you mean use_case?"),
        ([("team", "a"), ("team", "b")], "team: is there twice; ask about one call at a time"),
        ([("team", " ")], "team: is empty; leave it out where the call has none"),
    ],
)
def test_a_mistake_says_what_would_be_right(parameters, message):
    with pytest.raises(UserError) as raised:
        read_question(parameters)
    assert str(raised.value) == message


def test_an_attribute_that_is_like_none_gets_them_all():
    with pytest.raises(UserError, match=r"known are department, team, project, .*, provider$"):
        read_question([("xyz", "a")])


def test_a_name_that_no_event_can_have_is_refused():
    with pytest.raises(UserError, match=f"at most {MAX_TEXT}"):
        read_question([("team", "é" * MAX_TEXT)])
