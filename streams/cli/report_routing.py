"""`spendstream report routing`: what cheaper tiers cost and do to quality, and what was decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.routing.estimate import METHOD, Saving
from reports.routing.figures import Pairs, Span, total
from reports.routing.report import RoutingReport, as_document, no_interval, routing_report
from reports.routing.statistics import FEWEST
from schemas.errors import UserError
from streams.cli.consoles import plain_table, wide_console
from streams.cli.days import Day, check_order
from streams.cli.options import FOLDER
from streams.cli.usd_words import NOTHING, usd_text
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

SHOWN = 30
"""Decisions that are listed; --json has all."""
QUALITY_METHOD = (
    "Quality: mean of (shadow less call) of the outcome `quality`, with its 95 % confidence "
    f"interval by the paired t test; from {FEWEST} pairs with a score on both sides on."
)


@click.command()
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="First day, UTC.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="Last day, included.")
@click.option("--team", metavar="NAME", help="Only the calls of this team.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def routing(
    first: date, last: date, team: str | None, as_json: bool, folder: Path, clickhouse: str | None
) -> None:
    """Compare calls with their shadows on cheaper tiers, and list routing decisions. Example:

        spendstream report routing --from 2026-11-01 --to 2026-11-30 --team search

    What it rests on and assumes: docs/routing-report.md.
    """
    check_order(first, last)
    settings = settings_for(folder, clickhouse=clickhouse)
    connection = clickhouse_reader(settings)
    try:
        found = routing_report(connection, Span(first, last, team))
    finally:
        connection.close()
    if not found.calls and not found.pairs:
        whose = f" of team {team!r}" if team else ""
        raise UserError(f"there are no calls{whose} from {first} to {last} (UTC)")
    if as_json:
        click.echo(json.dumps(as_document(found)))
        return
    console = wide_console()
    _print(console, found)


def _print(console: Console, found: RoutingReport) -> None:
    span = found.span
    whose = f", team {span.team}" if span.team else ""
    console.print(Text(f"Routing from {span.first} to {span.last} (UTC){whose}\n"))
    if found.pairs:
        console.print("Calls and their shadows", style="bold")
        console.print(_pairs_table(found))
        console.print(QUALITY_METHOD + "\n", style="dim")
        _print_saving(console, found)
    else:
        console.print(
            "There are no pairs to compare: no call of this time was shadowed; "
            "docs/routing-report.md says how it is done.\n"
        )
    console.print("Decisions so far", style="bold")
    console.print(_decisions_table(found))
    if (more := len(found.decisions) - SHOWN) > 0:
        console.print(f"… and {more:,} more (--json shows them)")


def _pairs_table(found: RoutingReport) -> Table:
    rows = [_pairs_row(one.use_case or NOTHING, one) for one in found.pairs]
    rows += [_pairs_row("all", one) for one in found.overall]
    heads = ("use case", "call → shadow", "pairs", "calls cost", "shadows cost", "difference")
    return plain_table((*heads, "quality"), rows, numbers={2, 3, 4, 5})


def _pairs_row(use_case: str, one: Pairs) -> list[str]:
    compared = f"{one.pairs:,}"
    if one.compared < one.pairs:
        compared = f"{one.compared:,} of {one.pairs:,}"
    difference = one.difference
    share = ""
    if one.call_cost > 0:
        share = f" ({100 * difference / one.call_cost:+.1f} %)"
    quality = no_interval(one.quality)
    if (interval := one.quality.interval) is not None:
        quality = f"{one.quality.mean:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}]"
    return [
        use_case,
        f"{one.call_tier or NOTHING} → {one.shadow_tier or NOTHING}",
        compared,
        usd_text(one.call_cost),
        usd_text(one.shadow_cost),
        f"{usd_text(difference)}{share}",
        quality,
    ]


def _print_saving(console: Console, found: RoutingReport) -> None:
    full = found.full
    console.print("Full routing", style="bold")
    if full.saving is None:
        console.print(f"No use case and tier has the {FEWEST} pairs that an estimate takes.")
    else:
        console.print(
            f"It would have saved about {usd_text(full.saving)} of {usd_text(full.cost)}.",
            style="bold",
        )
        console.print(_saving_table(full.groups))
    if left := full.not_estimated:
        calls, cost = sum(one.calls for one in left), total(one.cost for one in left)
        console.print(
            f"Not estimated, for fewer than {FEWEST} pairs: {calls:,} calls of {usd_text(cost)}."
        )
    console.print(METHOD + "\n", style="dim")


def _saving_table(groups: Sequence[Saving]) -> Table:
    rows = [
        [
            one.use_case or NOTHING,
            f"{one.tier or NOTHING} → {one.to or NOTHING}",
            f"{one.calls:,}",
            usd_text(one.cost),
            NOTHING if one.saving is None else usd_text(one.saving),
        ]
        for one in groups
    ]
    heads = ("use case", "tier", "calls", "cost", "would have saved")
    return plain_table(heads, rows, numbers={2, 3, 4})


def _decisions_table(found: RoutingReport) -> Table:
    rows = []
    for one in found.decisions[:SHOWN]:
        cost = usd_text(one.cost) + (f" ({one.unknown:,} without a cost)" if one.unknown else "")
        reason = one.reason or (NOTHING if one.tier else "not routed")
        rows.append([one.tier or NOTHING, reason, f"{one.calls:,}", cost])
    return plain_table(("tier", "reason", "calls", "cost"), rows, numbers={2, 3})
