"""What a range of tokens and an equivalents file may say, and what a mistake is answered with."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from reports.vendors.compare import Target, TokenRange
from schemas.errors import UserError
from streams.rating.pricebook import PriceBook
from streams.vendors.equivalents import known_target, read_equivalents
from streams.vendors.report import choices_of
from streams.vendors.token_range import AS_THEY_ARE, DEFAULT, range_text, token_range

EXAMPLE = Path(__file__).parents[3] / "examples" / "equivalents.yaml"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


@pytest.mark.parametrize(("text", "ends"), [("0.8..1.25", (0.8, 1.25)), ("1", (1, 1))])
def test_a_range_of_tokens_reads_back_as_it_was_written(text, ends):
    found = token_range(text)
    assert (float(found.low), float(found.high)) == ends
    assert range_text(found) == text


@pytest.mark.parametrize("text", ["125", "1.25..0.8", "0", "-1..1", "a", "1..", "1.1-1.3"])
def test_what_is_no_range_is_told_how_to_write_one(text):
    with pytest.raises(ValueError, match=r"write it as 0\.8\.\.1\.25"):
        token_range(text)


def test_the_example_compares_models_that_have_prices(book):
    entries = read_equivalents(EXAMPLE, book)
    models = [tuple(entry.model.split("/", 1)) for entry in entries]
    choices = choices_of(book, models, [], entries, None)
    assert len(choices) == sum(len(entry.to) for entry in entries)
    ranges = {str(choice.target): choice.tokens for choice in choices}
    assert ranges["azure/gpt-4.1"] == AS_THEY_ARE
    assert ranges["google/gemini-2.5-pro"] == DEFAULT
    assert ranges["anthropic/claude-haiku-4-5 in eu"] == AS_THEY_ARE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "equivalents: []\nother: 1",
            "equivalents.yaml:2: other: is no key of an equivalents file",
        ),
        (
            "equivalents:\n  - model: gpt-4o\n    to: [openai/gpt-5]",
            "equivalents.yaml:2: equivalents[0] (gpt-4o).model: is 'gpt-4o'; write provider/model",
        ),
        (
            "equivalents:\n  - model: openai/gpt-4o\n    to: [openai/gpt-4o-min]",
            "did you mean openai/gpt-4o-mini",
        ),
        (
            "equivalents:\n  - model: openai/gpt-4o\n    to: [{model: openai/gpt-5, token: 1}]",
            "token: is no key of a model to compare with; did you mean tokens?",
        ),
        (
            "equivalents:\n  - model: openai/gpt-4o\n    to: [{model: openai/gpt-5, tokens: 13}]",
            "'13' is no range of tokens",
        ),
        ("equivalents:\n  - model: openai/gpt-4o\n    to: []", "name at least one model"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_its_place(tmp_path, book, content, said):
    path = tmp_path / "equivalents.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as mistake:
        read_equivalents(path, book)
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_a_model_is_never_compared_with_itself_but_with_itself_in_a_region(book):
    itself = Target("openai", "gpt-4o")
    assert choices_of(book, [("OpenAI", "gpt-4o")], [itself], [], None) == []
    (choice,) = choices_of(book, [("OpenAI", "gpt-4o")], [Target("", "", "eu")], [], None)
    assert choice.target == Target("OpenAI", "gpt-4o", "eu")
    assert choice.tokens == AS_THEY_ARE


def test_a_model_is_meant_by_the_name_that_the_price_list_has_for_it(book):
    entries = read_equivalents(EXAMPLE, book)
    found = choices_of(book, [("openai", "gpt-4.1-2025-04-14")], [], entries, None)
    assert str(found[0].target) == "azure/gpt-4.1"
    itself = Target("openai", "gpt-4.1")
    assert choices_of(book, [("openai", "gpt-4.1-2025-04-14")], [itself], [], None) == []


def test_a_range_that_is_asked_for_holds_where_the_file_says_none(book):
    entries = read_equivalents(EXAMPLE, book)
    asked = TokenRange(Fraction(1), Fraction(2))
    found = choices_of(book, [("openai", "gpt-4.1")], [], entries, asked)
    assert [range_text(choice.tokens) for choice in found] == ["1..2", "1..2", "1.05..1.3"]


def test_a_target_without_a_price_is_refused_with_a_near_name(book):
    with pytest.raises(UserError, match="did you mean"):
        known_target(book, "openai/gpt-4o-min", None)
