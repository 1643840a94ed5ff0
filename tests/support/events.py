"""Files of usage events, one JSON object a line, for `spendstream replay --format jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PRICES = """
prices:
  - provider: own
    model: unit
    effective_from: 2020-01-01
    usd_per_million_tokens: {input: 1, output: 1}
"""
"""One dollar for a million tokens: what an event costs can be read off its token count."""


def call(event_id: str, team: str, tokens: int, **fields: Any) -> dict[str, Any]:
    """A call of the model `unit` on 10 March 2026, at noon UTC."""
    return {
        "event_id": event_id,
        "occurred_at": "2026-03-10T12:00:00Z",
        "provider": "own",
        "model": "unit",
        "team": team,
        "usage_source": "reported",
        "input_tokens": tokens,
    } | fields


def write_events(file: Path, events: Iterable[dict[str, Any]]) -> Path:
    """The file, with these events in it."""
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    return file
