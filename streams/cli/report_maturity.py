"""`spendstream report maturity`: where the organisation stands, and what to do next."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.figures.figure import exact_text
from reports.figures.lens import Lens
from reports.figures.period import Period
from reports.maturity.model import LEVELS, TOP, Criterion, Evidence, Standing
from reports.maturity.report import Maturity, maturity
from reports.maturity.roadmap import Planned
from reports.page.words import NOTHING, shown
from reports.savings import Range
from streams.cli.consoles import plain_table, wide_console
from streams.cli.days import Day, check_order, today_utc
from streams.cli.options import FOLDER
from streams.cli.recorded_rates import record_rates
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

DAYS = 30
"""Looked at where no days are named."""
METHOD = (
    "A layer is at the lowest level of its evidence: level 1 begun, 2 in use, 3 managed. The "
    "thresholds are our own (docs/maturity.md). Savings are USD in these days, each on top of the "
    "kinds before it, as in `spendstream report savings`; – is not known."
)


@click.command("maturity")
@click.option("--from", "first", type=Day(), metavar="DAY", help="First day, UTC.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="Last day, included.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def maturity_command(
    first: date | None, last: date | None, as_json: bool, folder: Path, clickhouse: str | None
) -> None:
    """Measure visibility, routing, prompts and vendor strategy, and plan the next year. Example:

        spendstream report maturity --from 2026-11-01 --to 2026-11-30

    Without days, the 30 newest whole ones. What each level asks for: docs/maturity.md.
    """
    today = today_utc()
    last = last or today - timedelta(days=1)
    first = first or last - timedelta(days=DAYS - 1)
    check_order(first, last)
    settings = settings_for(folder, clickhouse=clickhouse)
    record_rates(settings, first, last)
    connection = clickhouse_reader(settings)
    try:
        found = maturity(connection, Lens(Period.of(first, last), today))
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(found)))
        return
    _print(wide_console(), found)


def as_document(found: Maturity) -> dict[str, Any]:
    """For machines: figures and savings as exact text; null: not known."""
    return {
        "from": found.lens.period.first.isoformat(),
        "to": found.lens.period.last.isoformat(),
        "layers": {one.layer: _layer(found, one) for one in found.standings},
        "roadmap": [_planned(one) for one in found.roadmap],
    }


def _layer(found: Maturity, one: Standing) -> dict[str, Any]:
    step = found.next_step(one.layer)
    return {
        "level": one.level,
        "is": LEVELS[one.level],
        "next_step": None if step is None else _planned(step),
        "evidence": [
            {
                "name": known.criterion.name,
                "title": known.criterion.title,
                "value": None if known.figure.value is None else exact_text(known.figure.value),
                "level": known.level,
                "needs": [None if need is None else str(need) for need in known.criterion.needs],
                "at_most": known.criterion.at_most,
                "definition": known.figure.definition,
                "sql": known.figure.sql,
            }
            for known in one.evidence
        ],
    }


def _planned(one: Planned) -> dict[str, Any]:
    saving = one.saving
    return {
        "step": one.step.name,
        "layer": one.step.layer,
        "title": one.step.title,
        "months": [one.first, one.last],
        "after": list(one.step.after),
        "how": one.step.how,
        "saves_usd": None
        if saving is None
        else {"low": exact_text(saving.low), "high": exact_text(saving.high)},
    }


def _print(console: Console, found: Maturity) -> None:
    period = found.lens.period
    console.print(
        Text(f"Maturity, by what was metered from {period.first} to {period.last} (UTC)\n")
    )
    for one in found.standings:
        bar = "■" * one.level + "□" * (TOP - one.level)
        console.print(Text(f"{one.layer.capitalize()}  {bar}  {LEVELS[one.level]}", "bold"))
        console.print(_evidence_table(one))
        if (step := found.next_step(one.layer)) is not None:
            console.print(Text(f"Next: {step.step.title} ({step.step.how})"))
        console.print()
    console.print("The next twelve months", style="bold")
    console.print(_roadmap_table(found) if found.roadmap else "Nothing is left to do.")
    console.print(METHOD, style="dim")


def _evidence_table(one: Standing) -> Table:
    holding = set(one.holding)
    rows = [
        [
            known.criterion.title,
            shown(known.criterion.kind, known.figure.value),
            str(known.level),
            _wanted(known) if known in holding else "",
        ]
        for known in one.evidence
    ]
    return plain_table(("evidence", "is", "level", "to go on"), rows, numbers={1, 2})


def _wanted(known: Evidence) -> str:
    return need_text(known.criterion, known.level + 1)


def need_text(criterion: Criterion, level: int) -> str:
    """`at least 50.0 %`; empty where the level asks for nothing."""
    need = criterion.needs[level - 1]
    if need is None:
        return ""
    return f"at {'most' if criterion.at_most else 'least'} {shown(criterion.kind, need)}"


def _roadmap_table(found: Maturity) -> Table:
    rows = [
        [
            f"{one.first}–{one.last}",
            one.step.title,
            one.step.layer,
            _saving_text(one.saving),
            one.step.how,
        ]
        for one in found.roadmap
    ]
    return plain_table(("months", "step", "layer", "would have saved", "how"), rows, numbers={3})


def _saving_text(saving: Range | None) -> str:
    if saving is None:
        return NOTHING
    low, high = (shown("usd", amount, "USD") for amount in (saving.low, saving.high))
    return low if low == high else f"{low} to {high}"
