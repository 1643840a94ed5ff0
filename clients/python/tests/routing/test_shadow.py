from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spendstream._event import completed
from spendstream._rules import check
from spendstream.routing import Router, ShadowCall

IDS = [f"event-{number}" for number in range(4_000)]


def router(share: str, **more: Any) -> Router:
    tiers = {
        "cost-optimised": {"openai": "mini"},
        "balanced": {"openai": "middle"},
        "frontier": {"openai": "large"},
    }
    shadow = {"share": share, "tier": "balanced", **more}
    return Router.of({"tiers": tiers, "routing": {"default": "frontier", "shadow": shadow}})


def shadow_of(found: Router, model: str, **attribution: str) -> ShadowCall | None:
    request = {"model": model, "messages": [], "stream": True, "stream_options": {}, "top_p": 0.5}
    choice = found.choose(request, attribution)
    return found.shadow_call("event-1", request, attribution, choice)


@pytest.mark.parametrize("percent", [0, 2, 25, 100])
def test_the_share_is_respected(percent):
    found = router(f"{percent}%")
    share = sum(map(found.shadow, IDS)) / len(IDS)
    assert share == pytest.approx(percent / 100, abs=0.03 if 0 < percent < 100 else 0)


@settings(max_examples=50, deadline=None)
@given(event_id=st.text(), smaller=st.integers(0, 100), larger=st.integers(0, 100))
def test_a_larger_share_keeps_the_calls_of_a_smaller_one(event_id, smaller, larger):
    smaller, larger = sorted((smaller, larger))
    assert router(f"{smaller}%").shadow(event_id) <= router(f"{larger}%").shadow(event_id)


def test_the_shadow_is_the_same_request_for_the_cheaper_model_and_not_streamed():
    call = shadow_of(router("100%"), "large")
    assert call is not None
    assert call.request == {"model": "middle", "messages": [], "top_p": 0.5}
    assert call.provider == "openai"


def test_the_event_of_a_shadow_is_valid_and_has_an_id_of_its_own():
    call = shadow_of(router("100%"), "large")
    assert call is not None
    event = completed({"provider": "openai", "model": "middle", "team": "a", **call.fields}, {})
    check(event)
    assert event["shadow_of"] == "event-1"
    assert event["event_id"] != "event-1"
    assert event["routing_tier"] == "balanced"


@pytest.mark.parametrize("model", ["mini", "middle", "of-no-tier"])
def test_only_a_call_to_a_dearer_tier_has_a_shadow(model):
    assert shadow_of(router("100%"), model) is None


def test_only_limits_whose_calls_are_compared():
    limited = router("100%", only={"environment": "production"})
    assert shadow_of(limited, "large", environment="production") is not None
    assert shadow_of(limited, "large", environment="test") is None
    assert shadow_of(limited, "large") is None


def test_a_call_outside_of_the_share_has_no_shadow():
    assert shadow_of(router("0%"), "large") is None
