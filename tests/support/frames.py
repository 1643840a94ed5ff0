"""Frames of usage events from the few fields that a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from schemas.batch import usage_frame_schema

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def usage_frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """One event per row; what a row leaves out is a plain reported call at NOON."""
    defaults = {
        "occurred_at": NOON,
        "kind": "usage",
        "provider": "openai",
        "model": "gpt-4o",
        "team": "search",
        "usage_source": "reported",
    }
    filled = [{"event_id": f"e{n}"} | defaults | row for n, row in enumerate(rows)]
    return pl.DataFrame(filled, schema=usage_frame_schema(), orient="row")
