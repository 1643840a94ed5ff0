from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spendstream._rules import check_field
from spendstream.routing import TIERS, Choice, Router

from streams.budgets.fields import TIERS as TIERS_OF_BUDGETS

DOCUMENT: dict[str, Any] = {
    "tiers": {
        "cost-optimised": {"openai": "gpt-4o-mini", "anthropic": ["haiku", "haiku-old"]},
        "balanced": {"openai": "gpt-4o", "anthropic": "sonnet", "mistral": "medium"},
        "frontier": {"openai": "gpt-5", "anthropic": "opus"},
    },
    "routing": {
        "rules": [
            {"when": {"use_case": ["classification", "tagging"]}, "tier": "cost-optimised"},
            {
                "when": {"max_output_tokens_below": 200, "prompt_characters_below": 500},
                "tier": "cost-optimised",
            },
            {"when": {"requested_tier": "frontier", "images": True}, "tier": "frontier"},
            {"when": {"team": "legal"}, "tier": "frontier"},
        ],
        "default": "balanced",
    },
}
ROUTER = Router.of(DOCUMENT)


def asking(model: str | None, text: str = "hello", **more: Any) -> dict[str, Any]:
    named = {} if model is None else {"model": model}
    return {**named, "messages": [{"role": "user", "content": text}], **more}


def test_the_tiers_are_those_of_budgets():
    assert TIERS == TIERS_OF_BUDGETS


@pytest.mark.parametrize(
    ("request_", "attribution", "tier", "model", "reason"),
    [
        (asking("gpt-5"), {}, "balanced", "gpt-4o", "default: no rule matches"),
        (
            asking("gpt-5"),
            {"use_case": "tagging"},
            "cost-optimised",
            "gpt-4o-mini",
            "rule 1: use_case classification or tagging",
        ),
        (
            asking("opus", max_tokens=50),
            {},
            "cost-optimised",
            "haiku",
            "rule 2: max_output_tokens below 200, prompt_characters below 500",
        ),
        (asking("opus", "x" * 500, max_tokens=50), {}, "balanced", "sonnet", "default"),
        # Not said is not below 200.
        (asking("opus"), {}, "balanced", "sonnet", "default"),
        (asking("anthropic/opus"), {}, "balanced", "sonnet", "default"),
        (asking("frontier"), {}, "frontier", "gpt-5", "the tier that was asked for"),
        (asking("auto"), {"team": "legal"}, "frontier", "gpt-5", "rule 4: team legal"),
        (asking(None), {}, "balanced", "gpt-4o", "default"),
    ],
)
def test_the_first_rule_whose_conditions_all_hold_decides(
    request_, attribution, tier, model, reason
):
    choice = ROUTER.choose(request_, attribution)
    assert (choice.tier, choice.model) == (tier, model)
    assert choice.reason.startswith(reason)
    assert choice.score is None


def test_a_model_that_no_tier_has_is_left_as_it_is():
    choice = ROUTER.choose(asking("text-embedding-3-small"), {"use_case": "tagging"})
    assert choice == Choice(
        None,
        None,
        "text-embedding-3-small",
        "text-embedding-3-small is in no tier: left as it is",
        None,
        "text-embedding-3-small",
    )
    assert "routing_tier" not in choice.event_fields()


def test_a_model_is_not_replaced_by_a_dearer_one_unless_the_file_says_so():
    asked = asking("gpt-4o-mini")
    choice = ROUTER.choose(asked, {"team": "legal"})
    assert (choice.tier, choice.model) == ("cost-optimised", "gpt-4o-mini")
    assert choice.reason == (
        "rule 4: team legal; held to cost-optimised, as dear as what was asked for"
    )
    routing = {**DOCUMENT["routing"], "upgrade": True}
    dearer = Router.of({**DOCUMENT, "routing": routing}).choose(asked, {"team": "legal"})
    assert dearer.model == "gpt-5"


def test_what_the_budget_allows_holds_over_every_rule():
    choice = ROUTER.choose(asking("gpt-5"), {"team": "legal"}, at_most="balanced")
    assert (choice.tier, choice.model) == ("balanced", "gpt-4o")
    assert choice.reason.endswith("held to balanced, as allowed")
    unknown = ROUTER.choose(asking("gpt-5"), {"team": "legal"}, at_most="of-a-newer-version")
    assert unknown.tier == "cost-optimised"


def test_another_model_of_the_same_tier_stays():
    choice = ROUTER.choose(asking("haiku-old"), {"use_case": "tagging"})
    assert choice.model == "haiku-old"


def test_a_provider_without_a_model_of_the_tier_keeps_its_own():
    choice = ROUTER.choose(asking("medium"), {"use_case": "tagging"})
    assert (choice.tier, choice.provider, choice.model) == ("balanced", "mistral", "medium")
    assert choice.reason.endswith("cost-optimised has no model of mistral: left as it is")


def test_a_dearer_tier_without_a_model_of_the_provider_gives_way_to_a_cheaper_one():
    choice = ROUTER.choose(asking("frontier"), {}, provider="mistral")
    assert (choice.tier, choice.model) == ("balanced", "medium")


def test_the_star_stands_for_every_other_provider():
    tiers = {"cost-optimised": {"openai": "mini", "*": "small"}, "frontier": {"*": "large"}}
    router = Router.of({"tiers": tiers, "routing": {"default": "cost-optimised"}})
    assert router.choose(asking("auto"), {}, provider="groq").model == "small"
    assert router.choose(asking("large"), {}, provider="openai").model == "mini"
    assert router.choose(asking("large"), {}).tier == "cost-optimised"


def test_images_and_texts_of_every_message_count():
    parts = [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": "x"}}]
    request = {"model": "gpt-5", "messages": [{"role": "user", "content": parts}]}
    assert ROUTER.choose(request, {}).reason == "rule 3: requested_tier frontier, images yes"


def test_the_example_file_is_understood(repository: Path):
    choice = Router(repository / "examples/tiers.yaml").choose(
        asking("gpt-4o"), {"use_case": "extraction"}
    )
    assert choice.model == "gpt-4o-mini"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KEYS = ("messages", "input", "system", "tools", "max_tokens", "response_format", "text", "model")
requests = st.dictionaries(st.sampled_from(KEYS), anything) | st.builds(
    lambda message: {"model": "gpt-5", "messages": [message]},
    st.fixed_dictionaries({"role": anything, "content": anything}),
)


@settings(max_examples=50, deadline=None)
@given(
    request=requests, attribution=st.dictionaries(st.sampled_from(["team", "use_case"]), anything)
)
def test_any_request_has_one_choice_that_fits_its_event(request, attribution):
    choice = ROUTER.choose(request, attribution)
    assert choice == ROUTER.choose(request, attribution)
    for name, value in choice.event_fields().items():
        if value.isascii():  # a surrogate in a model's name is the caller's own
            check_field(name, value)
