"""What the commands of `spendstream prices` share: an option, a console, and words."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from streams.rating.cards import Decision
from streams.rating.fields import day_or_minute

PRICES = click.option(
    "--prices",
    "overrides",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Price file.  [default: SPENDSTREAM_PRICES]",
)


def decision_words(decision: Decision) -> str:
    """`-12.5 % from 2026-01-01 by Jane Roe: contract 4711`; empty where nobody says anything."""
    if not decision.who and not decision.why:
        return ""
    who = f" by {decision.who}" if decision.who else ""
    return f"{decision.what}{who}{f': {decision.why}' if decision.why else ''}"


def day(at: datetime | None) -> str:
    """A day, or a minute where it is not midnight UTC; – for an open end."""
    return "–" if at is None else day_or_minute(at)


def scope(model: str, tier: str, region: str | None) -> str:
    """`openai/gpt-4o batch eu`; the standard tier goes without saying."""
    return model + (f" {tier}" if tier != "standard" else "") + (f" {region}" if region else "")


def bucket_words(bucket: str, above: int | None) -> str:
    """`cache_read`, `input above 128,000`."""
    return bucket + (f" above {above:,}" if above is not None else "")
