"""Labelled examples: a request, and the tier of models that was good enough for it, per line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import UserError
from streams.budgets.fields import TIERS
from streams.file_model import known_or_nearest, shown

FEWEST = 50
"""Different examples in all. Below that the interval of the accuracy is 25 points wide and more."""
FEWEST_PER_TIER = 10
"""Two in each of the five parts that take turns as the test."""
_KEYS = ("request", "tier")


class Example(NamedTuple):
    """One line of the file."""

    request: dict[str, Any]
    tier: str


class Examples(NamedTuple):
    """What the file holds, repeats left out: one in both training and test would flatter."""

    different: tuple[Example, ...]
    repeats: int

    def per_tier(self) -> dict[str, int]:
        """Tier → examples, from the cheapest tier on; only those that occur."""
        counts = Counter(example.tier for example in self.different)
        return {tier: counts[tier] for tier in TIERS if counts[tier]}


def read_examples(path: Path) -> Examples:
    """The examples of a JSONL file. Raises UserError where a line is wrong, or they are too few."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a file that can be read") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no UTF-8; save it as UTF-8") from None
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    every = [_example(line, f"{path}:{number}") for number, line in lines]
    different = {json.dumps(example, sort_keys=True): example for example in every}
    found = Examples(tuple(different.values()), len(every) - len(different))
    counts = found.per_tier()
    said = ", ".join(f"{count} {tier}" for tier, count in counts.items()) or "none"
    if len(counts) < 2 or min(counts.values()) < FEWEST_PER_TIER or sum(counts.values()) < FEWEST:
        raise UserError(
            f"{path}: too few different examples ({said}); at least {FEWEST} are needed, "
            f"of two tiers or three, {FEWEST_PER_TIER} of each"
        )
    return found


def _example(line: str, where: str) -> Example:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UserError(f'{where}: is no JSON object; write {{"request": {{…}}, "tier": "…"}}')
    for key in document:
        if key not in _KEYS:
            raise UserError(f"{where}: {shown(key)} is no key; {known_or_nearest(key, _KEYS)}")
    request, tier = document.get("request"), document.get("tier")
    if not isinstance(request, dict):
        raise UserError(f"{where}: request is {shown(request)}; write the body of the call")
    if tier not in TIERS:
        raise UserError(f"{where}: tier is {shown(tier)}; {known_or_nearest(str(tier), TIERS)}")
    return Example(request, tier)
