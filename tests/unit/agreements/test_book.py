"""What an agreements file may say, and what a mistake in it is answered with."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.agreements.book import AgreementBook, read_agreements
from streams.agreements.checks import warnings
from streams.cli.agreements_view import terms_words
from streams.rating.pricebook import PriceBook

EXAMPLE = Path(__file__).parents[3] / "examples" / "agreements.yaml"
STEPS = "volume: {rebate_on: part_above, steps: [{above: 10, percent: 5}]}"
ONE = f"name: one, provider: openai, effective_from: 2026-10-01, {STEPS}"


def read(folder: Path, *agreements: str) -> AgreementBook:
    file = folder / "agreements.yaml"
    file.write_text("agreements:\n" + "".join(f"  - {{{one}}}\n" for one in agreements))
    return read_agreements(file)


def test_the_example_is_valid_and_says_its_terms_in_words():
    book = read_agreements(EXAMPLE)
    assert [one.name for one in book.signed] == [
        "openai-volume-2026",
        "anthropic-commitment-2026",
    ]
    assert terms_words(book.agreements[0]) == (
        "openai, all models, from 2026-10 until 2027-10: above $50 5 % off the part above; "
        "above $200 10 % off the part above"
    )
    assert terms_words(book.agreements[2]) == (
        "anthropic, all models, proposed, from 2027-01: $180 a month whatever is used, 25 % off; "
        "beyond that no discount"
    )
    assert list(warnings(book, PriceBook.load(), date(2026, 12, 1))) == []


@pytest.mark.parametrize(
    ("agreement", "said"),
    [
        (ONE.replace("2026-10-01", "2026-10-15"), "write 2026-10-01 or 2026-11-01"),
        (ONE.replace("2026-10-01", "october"), "write the first of a month, such as 2026-10-01"),
        (ONE.replace("percent: 5", "percent: 100"), "above 0 and below 100"),
        (ONE.replace("percent: 5", "percent: -5"), "without a sign"),
        (ONE.replace("above: 10,", "above: 10k,"), "write a plain decimal number above 0"),
        (ONE.replace("part_above", "part"), "expected 'part_above' or 'whole_month'"),
        (ONE.replace("rebate_on", "rebat_on"), "did you mean rebate_on?"),
        (ONE.replace(STEPS, ""), "has no terms; write volume: or commitment:"),
        (
            f"{ONE}, commitment: {{monthly_usd: 1, percent: 5, overage: list}}",
            "has both volume and commitment",
        ),
        (f"{ONE}, effective_until: 2026-10-01", "is not after effective_from"),
        (f"{ONE}, proposed: perhaps", "write true or false"),
        (f"{ONE}, models: ['*']", "leave models out for every model of the provider"),
        (ONE.replace("provider: openai, ", ""), "is missing; write for example `provider:"),
        (
            ONE.replace("percent: 5}", "percent: 5}, {above: 20, percent: 4}"),
            "is not more than the 5 % of the step before",
        ),
        (
            ONE.replace("percent: 5}", "percent: 5}, {above: 10, percent: 6}"),
            "put steps in order",
        ),
        (
            ONE.replace("{rebate", "{measure: tokens, rebate").replace("above: 10", "above: 10.5"),
            "write a whole number of tokens",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_what_would_be_right(tmp_path, agreement, said):
    with pytest.raises(UserError) as mistake:
        read(tmp_path, agreement)
    assert said in str(mistake.value)
    assert f"{tmp_path / 'agreements.yaml'}:" in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_a_name_is_there_once(tmp_path):
    other = ONE.replace("openai", "anthropic")
    with pytest.raises(UserError, match=r"'one' is agreements\[0\] already"):
        read(tmp_path, ONE, other)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("", "", True),
        (", models: [gpt-4o]", "", True),
        (", models: [gpt-4*]", ", models: [gpt-4o-mini]", True),
        (", models: [gpt-4*]", ", models: [gpt-4o*]", True),
        (", models: [gpt-4o]", ", models: [gpt-4o-mini]", False),
        (", models: [gpt-4*]", ", models: [gpt-5*]", False),
        (", effective_until: 2026-11-01", ", proposed: true", False),
        ("", ", proposed: true", False),
    ],
)
def test_signed_agreements_do_not_overlap(tmp_path, first, second, overlap):
    agreements = ONE + first, ONE.replace("one", "two") + second
    if not overlap:
        assert len(read(tmp_path, *agreements).agreements) == 2
        return
    with pytest.raises(UserError, match="a dollar is rebated once"):
        read(tmp_path, *agreements)


def test_one_may_follow_another(tmp_path):
    following = ONE.replace("one", "two").replace("2026-10-01", "2027-01-01")
    book = read(tmp_path, f"{ONE}, effective_until: 2027-01-01", following)
    assert [one.holds_in(date(2026, 12, 1)) for one in book.agreements] == [True, False]
    assert [one.holds_in(date(2027, 1, 1)) for one in book.agreements] == [False, True]


def test_a_probable_typo_in_a_name_is_a_warning(tmp_path):
    book = read(
        tmp_path,
        ONE.replace("openai", "opnai"),
        ONE.replace("one", "two") + ", models: [gtp-4o, gpt-4o*]",
    )
    found = list(warnings(book, PriceBook.load(), date(2026, 9, 1)))
    assert "one: no price is known of any model of 'opnai'; did you mean openai?" in found
    assert "two: no model that has a price is 'gtp-4o'; did you mean gpt-4o?" in found
    assert "two: begins on 2026-10-01" in found
    assert len(found) == 4
