"""What prompts of the simulated company are made of: a leading part that stays, and the rest."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any

from schemas.tokens import INPUT_BUCKETS
from streams.traffic.company import Work
from streams.traffic.company_tiers import Named

LONG = 2500
"""Works with so many tokens in a prompt, on average, begin it with the same system prompt."""
PREFIX_PERCENT = 63
"""Of such a prompt, on average."""
CACHED = ("call-notes", "onboarding-agent")
"""Applications that have the provider keep that part."""
_FIELDS = ("prompt_hash", "prefix_hash", "prefix_tokens", *INPUT_BUCKETS)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The fields of an event that the prompt decides."""

    fields: dict[str, Any]

    @classmethod
    def of(cls, event: dict[str, Any]) -> Prompt:
        """The prompt of a call that was made."""
        return cls({name: event[name] for name in _FIELDS if name in event})

    @property
    def tokens(self) -> list[str]:
        """The token buckets that it fills."""
        return [name for name in INPUT_BUCKETS if name in self.fields]


@cache
def prefix_of(work: Work) -> tuple[str, int] | None:
    """Hash and tokens of the part that stays; None: nothing does."""
    if work.prompt < LONG:
        return None
    name = f"{work.application}/{work.use_case}".encode()
    return blake2b(name, digest_size=8).hexdigest(), work.prompt * PREFIX_PERCENT // 100


def prompt_of(work: Work, model: Named, step: int, dice: random.Random) -> Prompt:
    """A prompt that nobody sent before; ``step``: how many calls of its session were before it."""
    prefix = prefix_of(work)
    stays = prefix[1] if prefix else 0
    own = (work.prompt - stays) * dice.randint(60, 140) // 100
    fields: dict[str, Any] = {
        "prompt_hash": f"{dice.getrandbits(64):016x}",
        "input_tokens": stays + own,
    }
    if prefix is not None:
        fields |= {"prefix_hash": prefix[0], "prefix_tokens": stays}
    if work.application in CACHED:
        if step > 0:
            fields |= {"input_tokens": own, "cache_read_tokens": stays}
        elif model.provider == "anthropic":
            fields |= {"input_tokens": own, "cache_write_5m_tokens": stays}
    return Prompt(fields)
