"""Words of invoices: names of models, kinds of tokens, units."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streams.invoices.words import Models, plain_name, token_class, tokens_of

OURS = [
    *("gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-mini", "gpt-4.1", "o1", "gpt-35-turbo"),
    *("claude-haiku-4-5-20251001", "claude-3-5-haiku-20241022", "claude-sonnet-4-20250514"),
    *("amazon.nova-pro-v1:0", "meta.llama3-1-70b-instruct-v1:0", "gemini-2.5-flash"),
    *("gemini-2.5-flash-lite", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
]


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt 4o 0513 Input global Tokens", "gpt-4o-2024-05-13"),
        ("gpt-4o-mini-0718-Outp-glbl Tokens", "gpt-4o-mini"),
        ("gpt 4o mini 0718 cached Inp glbl", "gpt-4o-mini"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("o1 1217 Inp glbl", "o1"),
        ("Claude Haiku 4.5", "claude-haiku-4-5-20251001"),
        ("Claude 3.5 Haiku", "claude-3-5-haiku-20241022"),
        ("Claude Sonnet 4", "claude-sonnet-4-20250514"),
        ("Claude Sonnet 4.5 (Amazon Bedrock Edition)", OURS[-1]),
        ("USE1-NovaPro-cache-read-input-token-count", "amazon.nova-pro-v1:0"),
        ("EUC1-Llama3-1-70B-output-tokens", "meta.llama3-1-70b-instruct-v1:0"),
        ("Gemini 2.5 Flash GA Text Input - Predictions", "gemini-2.5-flash"),
        ("Gemini 2.5 Flash Lite Text Output - Predictions", "gemini-2.5-flash-lite"),
        ("Gemini 2.5 Pro Text Output - Predictions", None),
        ("gpt-5", None),
        ("", None),
    ],
)
def test_a_model_is_known_by_the_words_of_its_name(said, ours):
    assert Models(OURS).find(said, said) == ours


def test_what_is_mapped_goes_first_and_is_remembered():
    models = Models(OURS, {"R1 Outp": "o1", "never": "o1"})
    assert models.find("r1 outp glbl Tokens", "x") == "o1"
    assert models.used == {"r1 outp"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("cached input", "cache_read"),
        ("USE1-MP:USE1_CacheWriteInputTokenCount-Units", "cache_write"),
        ("USE1-MP:USE1_CacheReadInputTokenCount-Units", "cache_read"),
        ("USE1-MP:USE1_OutputTokenCount-Units", "output"),
        ("gpt-4o-0806-Inp-glbl Tokens", "input"),
        ("gpt-4o-0806-Outp-glbl Tokens", "output"),
        ("Gemini 2.5 Flash GA Input Text Caching - Predictions", "cache_read"),
        ("Gemini 2.5 Flash GA Text Input Caching Storage", None),
        ("input_tokens", "input"),
        ("web search tool calls", None),
        ("Hosting hours", None),
    ],
)
def test_kinds_of_tokens(text, kind):
    assert token_class(text) == kind


@pytest.mark.parametrize(
    ("quantity", "unit", "tokens"),
    [
        ("1.5", "1K", 1500),
        ("2", "1M Tokens", 2_000_000),
        ("7", "tokens", 7),
        ("7", "count", 7),
        ("3", "Thousand Tokens", 3000),
        ("1500.0", "1K tokens", 1_500_000),
        ("2", "Units", None),
        ("2", "Hrs", None),
        ("2", "", None),
    ],
)
def test_units_of_tokens(quantity, unit, tokens):
    assert tokens_of(Decimal(quantity), unit) == tokens


def test_a_model_that_nobody_knows_has_one_name_for_all_kinds_of_tokens():
    assert plain_name("USE1-NovaLite-input-tokens") == plain_name("USE1-NovaLite-output-tokens")
    assert plain_name("Gemini 3 Pro Text Input - Predictions") == "gemini 3 pro"
    assert plain_name("gpt-4o-2024-08-06") == "gpt-4o-2024-08-06"
