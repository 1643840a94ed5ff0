"""How the simulated company routes: tiers, what is one tier down, and where that would do."""

from __future__ import annotations

from typing import NamedTuple

from streams.traffic.company import FLASH, FRONTIER, GPT, HAIKU, MINI, SONNET, Model, Work

FRONTIER_TIER, BALANCED, COST_OPTIMISED = "frontier", "balanced", "cost-optimised"
TIER_DOWN = {FRONTIER_TIER: BALANCED, BALANCED: COST_OPTIMISED}
TIER = {
    SONNET: FRONTIER_TIER,
    FRONTIER: FRONTIER_TIER,
    GPT: BALANCED,
    HAIKU: BALANCED,
    MINI: COST_OPTIMISED,
    FLASH: COST_OPTIMISED,
}


class Named(NamedTuple):
    """A model as an event names it."""

    provider: str
    model: str


MODEL_DOWN = {
    SONNET: Named(HAIKU.provider, HAIKU.name),
    FRONTIER: Named("openai", "gpt-5-mini"),
    GPT: Named(MINI.provider, MINI.name),
    HAIKU: Named(FLASH.provider, FLASH.name),
}
"""What a call of a model would go to, one tier down."""
ROUTABLE = frozenset(
    {
        "answering",
        "classification",
        "chat",
        "drafting",
        "extraction",
        "onboarding",
        "review",
        "translation",
    }
)
"""Use cases whose answers are as good one tier down; those of others are worse there."""

ROUTED_FIRST, ROUTED_LAST = 0.04, 0.40
"""Of the routable calls of the balanced tier: how many go down on the first and the last day."""
QUALITY = 0.85
"""Mean score of an answer, 0 to 1, of the tier that a use case is at home on."""
LOSS = 0.12
"""Of mean quality, one tier down, where that will not do."""


def named(model: Model) -> Named:
    """As an event names it."""
    return Named(model.provider, model.name)


def may_go_down(work: Work) -> bool:
    """Whether its calls are on a dearer tier, and would do one tier down."""
    return work.use_case in ROUTABLE and work.model in MODEL_DOWN


def routed_share(done: float) -> float:
    """Of the calls that may go down: how many do, when so much (0 to 1) of the month is over."""
    return ROUTED_FIRST + (ROUTED_LAST - ROUTED_FIRST) * done
