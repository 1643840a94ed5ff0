"""Cohere's counts: ``billed_units`` is what is paid for, ``tokens`` what was processed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream.usage._numbers import Tokens, count, known, part


def billed(usage: Mapping[str, Any], provider: str) -> Tokens:
    """``usage`` of v2, ``meta`` of v1 and of embeddings; ``tokens`` where nothing is billed."""
    del provider
    units = part(usage, "billed_units") or part(usage, "tokens")
    return Tokens(
        known(
            input_tokens=count(units, "input_tokens"),
            input_image_tokens=count(units, "image_tokens"),
        ),
        known(output_tokens=count(units, "output_tokens")),
    )
