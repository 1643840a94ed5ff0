"""`spendstream alerts`: what is open and done about it, what it looks like, whether it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from schemas.alerts import Rule
from schemas.errors import UserError
from sinks.alert_samples import RULES
from sinks.channels import Channel
from streams.alerts.channels import channels_of
from streams.alerts.trial import Outcome, Step, steps, try_channel
from streams.budgets.budget_file import read_budgets
from streams.budgets.samples import sample_alerts
from streams.cli.alert_actions import ack, list_alerts, silence, unsilence
from streams.settings import load_settings


@click.group()
def alerts() -> None:
    """See what is open, take it on, silence it, and try the channels. Example:

    spendstream alerts list
    """


@alerts.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="HTML file to write.",
)
@click.option("--rule", "rules", type=click.Choice(RULES), multiple=True, help="Only this rule.")
@click.option(
    "--budgets",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What the budgets of this file say, in place of the samples.",
)
def preview(out: Path, rules: tuple[Rule, ...], budgets: Path | None) -> None:
    """Write a page with every kind of Slack message, as Slack shows it. Example:

        spendstream alerts preview --out alerts.html --rule budget

    Nothing is sent, and the page loads nothing. The figures are made up.
    """
    # Charts and pages are heavy, and no other command here needs them.
    from sinks.sample_page import page_of, sample_page

    now = datetime.now(UTC).astimezone()
    book = None if budgets is None else read_budgets(budgets)
    with Console(stderr=True).status("drawing"):
        if book is None:
            page = sample_page(rules or RULES, now)
        else:
            page = page_of(sample_alerts(book, now), now)
    try:
        out.write_text(page, "utf-8")
    except OSError as error:
        raise UserError(f"{out}: {error.strerror}; name a file that can be written") from None
    click.echo(f"{out}: open it in a browser")


@alerts.command()
@click.option("--channel", "name", metavar="NAME", help="Only this channel.")
@click.option("--rule", type=click.Choice(RULES), help="Only this rule, with its whole history.")
def test(name: str | None, rule: Rule | None) -> None:
    """Send a sample of every kind through the channels that are set up. Example:

        spendstream alerts test --channel slack --rule budget

    Titles begin with [test]. Exit code 1 if a channel did not take all of them.
    """
    outcomes = asyncio.run(_try_all(_chosen(channels_of(load_settings()), name), rule))
    console = Console(highlight=False)
    width = max(len(outcome.channel) for outcome in outcomes)
    for outcome in outcomes:
        mark = "[green]ok  [/]" if outcome.failed is None else "[red]BAD [/]"
        said = f"{outcome.taken} messages taken"
        if outcome.failed is not None:
            said += f", then {outcome.failed}"
        console.print(f"{mark} {outcome.channel:<{width}}", end=" ")
        console.print(said, markup=False, soft_wrap=True)
    if any(outcome.failed is not None for outcome in outcomes):
        raise click.exceptions.Exit(1)


for command in (list_alerts, ack, silence, unsilence):
    alerts.add_command(command)


def _chosen(channels: Sequence[Channel], name: str | None) -> list[Channel]:
    if not channels:
        raise UserError(
            "no channel is set up; set SPENDSTREAM_SLACK_BOT_TOKEN, SPENDSTREAM_SLACK_WEBHOOK, "
            "SPENDSTREAM_WEBHOOK or SPENDSTREAM_ALERTING, as docs/budgets-and-alerts.md says"
        )
    chosen = [channel for channel in channels if name in {None, channel.name}]
    if not chosen:
        known = ", ".join(channel.name for channel in channels)
        raise UserError(f"--channel {name}: there is no such channel; known: {known}")
    return chosen


async def _try_all(channels: Sequence[Channel], rule: Rule | None) -> list[Outcome]:
    plan: list[Step] = steps(rule, datetime.now(UTC))
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("sending", total=len(plan) * len(channels))
            return await asyncio.gather(
                *(try_channel(one, plan, lambda: progress.advance(task)) for one in channels)
            )
    finally:
        for channel in channels:
            await channel.close()
