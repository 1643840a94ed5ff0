"""Lines and JSON of `spendstream dlq`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from sinks.dead_letters import Entry, Group
from streams.dead_letters.show import encoded, plain, plain_bytes, when
from streams.dead_letters.workflow import Outcome


def print_groups(groups: Sequence[Group]) -> None:
    """What was refused for which reason: how much, when, whose, and an example."""
    for group in groups:
        keys = ", ".join(plain_bytes(key) for key in group.keys)
        letters = "1 letter" if group.letters == 1 else f"{group.letters:,} letters"
        times = f", {when(group.first)} to {when(group.last)}" if group.first else ""
        click.echo(f"{group.reason}: {letters}{times}{f', keys {keys}' if keys else ''}")
        click.echo(f"  such as {group.example}: {plain(group.detail)}")
    if not groups:
        click.echo("none")


def print_entries(entries: Sequence[Entry]) -> None:
    """One line per letter: id, time, partition and offset, status, reason."""
    for entry in entries:
        place = f"{entry.partition}:{entry.offset}"
        begun = entry.status == "open" and entry.action is not None
        click.echo(
            f"{entry.letter}  {when(entry.appended_at):<19}  {place:<10}  "
            f"{entry.action if begun else entry.status:<9}  "
            f"{entry.reason}: {plain(entry.detail)}"
        )
    if not entries:
        click.echo("none")


def print_json(rows: Sequence[Group | Entry]) -> None:
    """One object per line. Keys are in base64: they may be any bytes."""
    for row in rows:
        click.echo(json.dumps(asdict(row), default=_plain))


def in_a_line(outcome: Outcome) -> str:
    """What became of one letter."""
    place = "" if outcome.partition is None else f", partition {outcome.partition}"
    if outcome.offset is not None:
        place += f", offset {outcome.offset}"
    why = f": {plain(outcome.why)}" if outcome.why else ""
    return f"{outcome.letter} {outcome.result}{place}{why}"


def _plain(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return encoded(value)
