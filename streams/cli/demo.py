"""`spendstream demo`: the whole product on simulated teams."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import click
from click.core import ParameterSource
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.live import Live

from schemas.alerts import Alert
from schemas.errors import SpendstreamError, UserError
from schemas.topics import USAGE
from schemas.wire import encode
from sinks.alert_log import AlertLog
from sinks.clickhouse import ClickHouse
from streams.budgets.budget_file import read_budgets
from streams.cli.demo_month import DemoMonth, fill_and_serve
from streams.cli.demo_view import Picture, alert_lines, live, team_lines, teams_table
from streams.cli.options import FOLDER
from streams.cli.reconcile import as_document, report
from streams.reconciliation.verdict import Reconciliation
from streams.reconciliation.verdict import reconcile as compare
from streams.stack.backlog import guard_state, wait_until_empty
from streams.stack.ports import Ports
from streams.stack.stack import Stack
from streams.stage import configure_logging, run_stage, sleep_unless
from streams.stores import clickhouse as connect
from streams.traffic.demo import MAX_SECONDS, MIN_SECONDS, demo_budgets, scenario
from streams.traffic.demo_bad import bad_values
from streams.traffic.demo_calls import TICKS_PER_SECOND
from streams.traffic.publish import usage_producer

REFRESH_SECONDS = 0.5
LANDING_SECONDS = 30.0
QUIET_SECONDS = 8
"""A storm counts as over sooner than in real life, so that the demo shows it."""
PICTURE_WIDTH = 110


class DemoFailed(SpendstreamError):
    """The demo's own check of itself failed."""


@click.command()
@click.option(
    "--seconds",
    type=click.IntRange(MIN_SECONDS, MAX_SECONDS),
    default=60,
    show_default=True,
    help="How long the simulated teams work.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed, another minute.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw what was shown as SVG.",
)
@click.option(
    "--month",
    type=DemoMonth(),
    metavar="MONTH",
    help="Not a minute: a month of a company of 300, as 2026-11, last or this; until Ctrl-C.",
)
@click.option("--once", is_flag=True, help="With --month: end when all of it has landed.")
@click.option(
    "--thinned",
    type=click.IntRange(1, 1000),
    default=25,
    show_default=True,
    help="With --month: make one of so many calls.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON, no table.")
@FOLDER
@click.pass_context
def demo(
    context: click.Context,
    seconds: int,
    seed: int,
    picture: Path | None,
    month: date | None,
    once: bool,
    thinned: int,
    as_json: bool,
    folder: Path,
) -> None:
    """Run the whole product on simulated teams, and show what it sees. Examples:

        spendstream demo --seconds 60
        spendstream demo --month last

    Steady chat, an agent that runs away, a service in a retry storm, a team over its budget. Needs
    no Docker and no ports of your choice; it ends by itself, with a check of every total.

    With --month it fills a stack with a month of a company, through the whole pipeline, and leaves
    it running: a page, reports and budgets with data in them.
    """
    configure_logging("demo", "WARNING")
    given = {
        name
        for name in context.params
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if month is not None:
        if of_the_minute := given & {"picture", "seconds"}:
            raise UserError(f"--{min(of_the_minute)} is of the minute: leave it out, or --month")
        fill_and_serve(folder / "month", month, thinned, seed, once=once, as_json=as_json)
        return
    if of_a_month := given & {"once", "thinned"}:
        raise UserError(f"--{min(of_a_month)} is of --month: say which, such as --month last")
    console = Console(highlight=False, record=picture is not None, quiet=as_json)
    if picture is not None:
        console.width = PICTURE_WIDTH
    home = folder / "demo"
    # A second demo begins with budgets that nobody has spent yet.
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    budgets = home / "budgets.yaml"
    budgets.write_text(demo_budgets(), encoding="utf-8")
    stack = Stack(home, Ports.free(), budgets=budgets.resolve(), storm_quiet_seconds=QUIET_SECONDS)
    show = Demo(stack, console, seconds, seed)

    async def body(stop: asyncio.Event) -> None:
        try:
            with console.status("starting broker, ClickHouse and stages"):
                await stack.start()
            await show.run(stop)
            if not stop.is_set():
                await show.settle(stop)
                verdict = await show.summary()
                if as_json:
                    click.echo(json.dumps(show.document(verdict)))
                if not verdict.ok:
                    raise DemoFailed("archive, ledger and guard differ; see above")
        finally:
            await stack.stop()

    run_stage(body)
    if picture is not None:
        picture.write_text(drawing(console), encoding="utf-8")


def drawing(console: Console) -> str:
    """What the console recorded, as SVG that needs nothing from the network."""
    without_fonts = re.sub(r"@font-face {{.*?}}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="spendstream demo", code_format=without_fonts)


class Demo:
    """One run: publishes the scenario in real time, and looks at the result meanwhile."""

    def __init__(self, stack: Stack, console: Console, seconds: int, seed: int) -> None:
        self._stack = stack
        self._console = console
        self._seconds = seconds
        self._seed = seed
        self._published = 0
        self._began = time.monotonic()
        self._last: Picture = Picture(0.0, seconds, 0, (), (), 0)
        book = read_budgets(Path(str(stack.settings.budgets)))
        self._limits = {budget.where["team"][0]: budget.limit for budget in book.budgets}

    async def run(self, stop: asyncio.Event) -> None:
        """Publish for the whole time; show a picture twice a second."""
        self._began = time.monotonic()
        connection = connect(self._stack.settings)
        publishing = asyncio.create_task(self._publish(stop))
        terminal = self._console.is_terminal and not self._console.quiet
        try:
            with Live(console=self._console, transient=True) if terminal else nullcontext() as view:
                while not publishing.done():
                    await asyncio.wait({publishing}, timeout=REFRESH_SECONDS)
                    self._last = await asyncio.to_thread(self._look, connection)
                    if view is not None:
                        view.update(live(self._last), refresh=True)
            await publishing
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
            connection.close()

    async def settle(self, stop: asyncio.Event) -> None:
        """Wait until everything has landed and the storm counts as over."""
        with self._console.status("waiting for the last events to land"):
            left = await wait_until_empty(self._stack.settings, LANDING_SECONDS)
            if not left.empty:
                raise DemoFailed(f"after {LANDING_SECONDS:.0f} s this is still under way: {left}")
            connection = connect(self._stack.settings)
            try:
                deadline = time.monotonic() + 2 * QUIET_SECONDS
                while not self._storm_is_over() and time.monotonic() < deadline:
                    await sleep_unless(stop, REFRESH_SECONDS)
                    self._last = await asyncio.to_thread(self._look, connection)
            finally:
                connection.close()

    async def summary(self) -> Reconciliation:
        """Print spend, alerts and the verdict."""
        guard = await guard_state(self._stack.settings)
        connection = connect(self._stack.settings)
        try:
            self._last = await asyncio.to_thread(self._look, connection)
            verdict = await asyncio.to_thread(compare, connection, guard)
        finally:
            connection.close()
        out = self._console
        out.print(
            f"[bold]spendstream demo[/]: {self._published:,} events of simulated teams in "
            f"{self._seconds} s, {self._last.refused} of them refused (dead letters)\n"
        )
        out.print(teams_table(self._last.teams))
        out.print()
        for line in alert_lines(self._last.alerts):
            out.print(line)
        out.print()
        for text in report(verdict, self._stack.settings):
            out.print(text, style="bold green" if verdict.ok else "bold red")
        return verdict

    def document(self, verdict: Reconciliation) -> dict[str, object]:
        """The summary for machines."""
        return {
            "events": self._published,
            "refused": self._last.refused,
            "spend_usd": {
                line.team: None if line.cost is None else f"{line.cost:f}"
                for line in self._last.teams
            },
            "alerts": [alert.model_dump(mode="json") for alert in self._last.alerts],
            "reconcile": as_document(verdict),
        }

    async def _publish(self, stop: asyncio.Event) -> None:
        start = datetime.now(UTC)
        producer = usage_producer(self._stack.settings)
        try:
            await producer.start()
            ticks = zip(
                scenario(start, self._seconds, self._seed),
                bad_values(start, self._seconds, self._seed),
                strict=True,
            )
            for number, (events, bad) in enumerate(ticks, start=1):
                # The events of a tick have happened when it ends.
                wait = self._began + number / TICKS_PER_SECOND - time.monotonic()
                await sleep_unless(stop, max(0.0, wait))
                if stop.is_set():
                    return
                for event in events:
                    await producer.send(USAGE, encode(event), key=event.team.encode())
                for value in bad:
                    await producer.send(USAGE, value)
                self._published += len(events) + len(bad)
        finally:
            await producer.stop()

    def _look(self, connection: ClickHouse) -> Picture:
        rows = connection.query(
            "SELECT team, sum(calls), sum(prompt_tokens + answer_tokens), sum(cost), "
            "sum(unpriced_calls) FROM spend_by_team GROUP BY team"
        )
        ((refused,),) = connection.query("SELECT sum(refused) FROM metering")
        alerts = AlertLog(connection).published()
        return Picture(
            time.monotonic() - self._began,
            self._seconds,
            self._published,
            team_lines([tuple(row) for row in rows], self._limits),
            tuple(alerts),
            int(refused),
        )

    def _storm_is_over(self) -> bool:
        storms: Sequence[Alert] = [a for a in self._last.alerts if a.rule == "retry_storm"]
        opened = {alert.alert_id for alert in storms if alert.transition == "opened"}
        return opened == {alert.alert_id for alert in storms if alert.transition == "resolved"}
