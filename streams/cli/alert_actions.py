"""`spendstream alerts list|ack|silence|unsilence`: what is open, and what is done about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from schemas.alerts import Alert, Rule
from schemas.errors import UserError
from sinks.alert_log import AlertLog
from sinks.alert_samples import RULES
from sinks.amounts import amount_text
from streams.alerts import operator
from streams.alerts.alerting_file import duration
from streams.cli.options import connection_options, run, whoami
from streams.settings import Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader


def by_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--by`: who does it."""
    return click.option("--by", metavar="NAME", help="Who does it.  [default: user@host]")(command)


@click.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@connection_options
def list_alerts(
    every: bool, as_json: bool, folder: Path, kafka: str | None, clickhouse: str | None
) -> None:
    """Show the alerts that are open, and the silences. Example:

    spendstream alerts list
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    state = run(settings, _state(settings))
    now = datetime.now(UTC)
    shown = [h for h in state.histories.all() if every or h.is_open_at(now)]
    shown.sort(key=lambda history: history.first.at)
    console = Console(highlight=False)
    for history in shown:
        alert = history.newest
        if as_json:
            click.echo(json.dumps({"id": alert.alert_id, **alert.model_dump(mode="json")}))
            continue
        amount = "" if alert.value is None else f"  {amount_text(alert.value, alert.unit)}"
        by = f" by {alert.by}" if alert.by else ""
        console.print(
            f"{alert.alert_id}  {history.first.at:%Y-%m-%d %H:%M}  {history.worst:<8}  "
            f"{alert.transition}{by}  {history.first.title}{amount}",
            markup=False,
            soft_wrap=True,
        )
    if as_json:
        for silence in state.silences:
            click.echo(silence.model_dump_json())
        return
    if not shown:
        console.print("no alerts" if every else "no open alerts")
    for silence in state.silences:
        what = ", ".join(f"{kind}={name}" for kind, name in silence.scope.items()) or "everything"
        console.print(
            f"silence {silence.silence}: {silence.rule or 'every rule'}, {what}, until "
            f"{silence.until:%Y-%m-%d %H:%M} UTC, by {silence.by} {silence.why}".rstrip(),
            markup=False,
            soft_wrap=True,
        )


@click.command()
@click.argument("alert_id")
@by_option
@connection_options
def ack(
    alert_id: str, by: str | None, folder: Path, kafka: str | None, clickhouse: str | None
) -> None:
    """Take an alert on: nobody is reminded of it any more. Example:

        spendstream alerts ack 835b478e --by ada

    The beginning of its id is enough.
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    name = by or whoami()

    async def body() -> Alert:
        recorded = await asyncio.to_thread(_recorded, settings)
        return await operator.acknowledge(settings, alert_id, name, recorded)

    alert = run(settings, body())
    click.echo(f"{alert.alert_id} acknowledged by {name}: {alert.title}")


@click.command()
@click.argument("scope", nargs=-1, metavar="[DIMENSION=VALUE]...")
@click.option("--rule", type=click.Choice(RULES), help="Only this rule.")
@click.option("--for", "length", required=True, metavar="DURATION", help="Such as 90m, 4h or 2d.")
@click.option("--why", default="", help="For the others.")
@by_option
@connection_options
def silence(
    scope: tuple[str, ...],
    rule: Rule | None,
    length: str,
    why: str,
    by: str | None,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Tell nobody of what matches, for a while; its history goes on. Example:

    spendstream alerts silence team=search --rule retry_storm --for 2h --why "load test"
    """
    wanted = {}
    for part in scope:
        kind, equals, value = part.partition("=")
        if not (kind and equals and value):
            raise UserError(f"{part!r} is no scope; write dimension=value, such as team=search")
        wanted[kind] = value
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    lasting = duration(length, "--for")
    made = run(settings, operator.silence(settings, rule, wanted, lasting, by or whoami(), why))
    click.echo(f"silence {made.silence} until {made.until:%Y-%m-%d %H:%M} UTC")


@click.command()
@click.argument("name")
@connection_options
def unsilence(name: str, folder: Path, kafka: str | None, clickhouse: str | None) -> None:
    """End a silence before its time. Example:

    spendstream alerts unsilence 1f0c2d3e
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    run(settings, operator.end_silence(settings, name))
    click.echo(f"silence {name} is over")


async def _state(settings: Settings) -> operator.State:
    return await operator.current(settings, await asyncio.to_thread(_recorded, settings))


def _recorded(settings: Settings) -> list[Alert]:
    connection = clickhouse_reader(settings)
    try:
        return AlertLog(connection).published()
    finally:
        connection.close()
