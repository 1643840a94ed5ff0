"""Who may call models of which tier: what the rules decide."""

from __future__ import annotations

from typing import Any

import pytest

from streams.detectors.access_rules import AccessPolicy, Violation
from streams.detectors.settings_file import Detectors

TIERS = {"cost-optimised": ["*-mini"], "frontier": ["openai/gpt-5*"], "balanced": ["openai/gpt-4*"]}
CALL = {
    "team": "search",
    "user": "ana",
    "environment": "production",
    "provider": "openai",
    "model": "gpt-5",
}


def policy(**access: Any) -> AccessPolicy:
    detectors = Detectors.model_validate({"tiers": TIERS, "access": access})
    return AccessPolicy(detectors.access, detectors.tiers)


def decided(rules: list[dict[str, Any]], call: dict[str, Any] | None = None, **access: Any):
    return policy(rules=rules, **access).violation(CALL | (call or {}))


def test_without_rules_everything_is_allowed():
    assert not policy().forbids_something
    assert decided([]) is None


def test_a_rule_allows_its_tiers_and_no_other():
    rule = {"team": "search", "tiers": ["balanced"]}
    assert decided([rule]) == Violation("team search", "frontier")
    assert decided([rule], {"model": "gpt-4o"}) is None


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({"team": "search"}, True),
        ({"team": ["support", "search"]}, True),
        ({"team": "support"}, False),
        ({"team": "sea*"}, True),
        ({"team": "search", "environment": "production"}, True),
        ({"team": "search", "environment": "dev*"}, False),
        ({"user": "a?a"}, True),
        ({"application": "*"}, False),
        ({}, True),
    ],
)
def test_a_rule_is_for_what_has_all_that_it_names(rule, matches):
    call = {"application": None}
    assert (decided([{**rule, "tiers": []}], call) is not None) == matches


def test_the_first_rule_that_matches_decides():
    allowed = {"team": "search", "tiers": ["frontier"]}
    forbidden = {"environment": "production", "tiers": []}
    assert decided([allowed, forbidden]) is None
    assert decided([forbidden, allowed]) == Violation("environment production", "frontier")


def test_a_role_is_some_users():
    rules = [{"role": "analyst", "tiers": ["balanced"]}]
    roles = {"analyst": {"users": ["ana", "intern-*"]}, "engineer": {"users": ["eve"]}}
    assert decided(rules, roles=roles) == Violation("role analyst", "frontier")
    assert decided(rules, {"user": "intern-7"}, roles=roles) is not None
    assert decided(rules, {"user": "eve"}, roles=roles) is None
    assert decided(rules, {"user": None}, roles=roles) is None


def test_what_no_rule_matches_follows_the_default():
    rules = [{"team": "support", "tiers": ["frontier"]}]
    assert decided(rules) is None
    assert decided(rules, default="deny") == Violation("default", "frontier")


def test_a_model_in_no_tier_is_allowed_unless_unknown_models_are_denied():
    rules = [{"tiers": []}]
    assert decided(rules, {"model": "own"}) is None
    denied = decided(rules, {"model": "own"}, unknown_models="deny")
    assert denied == Violation("unknown models", "unknown")


def test_the_first_tier_with_a_pattern_that_matches_is_the_models():
    tier_of = policy().tier_of
    assert tier_of("openai", "gpt-5-mini") == "cost-optimised"
    assert tier_of("OpenAI", "GPT-5.1") == "frontier"
    assert tier_of("azure", "gpt-5") is None


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("openai", "gpt-5", "frontier"),
        ("openai", "gpt-5-mini", "cost-optimised"),
        ("openai", "gpt-4o", "balanced"),
        ("anthropic", "claude-opus-4-5", "frontier"),
        ("anthropic", "claude-sonnet-4-5", "balanced"),
        ("anthropic", "claude-haiku-4-5", "cost-optimised"),
        ("aws.bedrock", "global.anthropic.claude-opus-5", "frontier"),
        ("gcp.gemini", "gemini-2.5-pro", "frontier"),
        ("gcp.gemini", "gemini-2.5-flash", "balanced"),
        ("gcp.gemini", "gemini-2.5-flash-lite", "cost-optimised"),
        ("in-house", "labs-7b-finetune", None),
    ],
)
def test_well_known_models_have_a_tier_without_a_file(provider, model, tier):
    detectors = Detectors()
    assert AccessPolicy(detectors.access, detectors.tiers).tier_of(provider, model) == tier
