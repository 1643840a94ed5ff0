"""`spendstream demo --month`: a whole month of a simulated company, through the real pipeline."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import click
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.errors import SpendstreamError, UserError
from schemas.outcome import checked_outcome, encode_outcome
from schemas.topics import OUTCOMES, USAGE
from schemas.usage import UsageEvent
from schemas.wire import encode
from sinks.alert_log import AlertLog
from sinks.amounts import amount_text
from streams.cli.months import Month
from streams.cli.reconcile import as_document, report
from streams.guard.money import usd
from streams.rating.pricebook import PriceBook
from streams.reconciliation.verdict import Reconciliation
from streams.reconciliation.verdict import reconcile as compare
from streams.repricing.recording import record_rates_in_use
from streams.stack.backlog import guard_state, wait_until_empty
from streams.stack.ports import Ports
from streams.stack.run_file import running_stack
from streams.stack.stack import Stack
from streams.stage import run_stage, sleep_unless
from streams.stores import clickhouse as connect
from streams.traffic.company_budgets import company_budgets
from streams.traffic.company_month import CompanyMonth, Day
from streams.traffic.publish import usage_producer

LANDING_SECONDS = 60.0
GUARD_SECONDS = 60.0
"""For the guard to take a day: less than one on a quiet machine."""
LAST, THIS = "last", "this"
SHOWN = 8


class MonthNotLanded(SpendstreamError):
    """Something of the month is not where it should be."""


class DemoMonth(Month):
    """A month that has begun: as 2026-11, or `last` or `this`."""

    def convert(self, value: object, param: click.Parameter | None, ctx: object) -> date:
        """Raises UserError for what is none, and for one that has not begun."""
        today = datetime.now(UTC).date()
        if value in (LAST, THIS):
            first = today.replace(day=1)
            return first if value == THIS else before(first)
        month = super().convert(value, param, ctx)
        if month > today:
            raise UserError(f"--month: {month:%Y-%m} has not begun; such as {LAST}, or {THIS}")
        return month


def before(month: date) -> date:
    """The month before."""
    last = month.month == 1
    return date(month.year - last, 12 if last else month.month - 1, 1)


def fill_and_serve(
    home: Path, month: date, thinned: int, seed: int, *, once: bool, as_json: bool
) -> None:
    """Fill a new stack in ``home`` with the month, and keep it running until Ctrl-C.

    ``once``: end when all of it has landed. What was in ``home`` is removed. Raises MonthNotLanded,
    and what a stack raises.
    """
    if pid := running_stack(home).get("pid"):
        raise UserError(
            f"{home}: a stack runs from this folder already (process {pid}); stop it, or choose "
            "another --folder"
        )
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    budgets = home / "budgets.yaml"
    budgets.write_text(company_budgets(thinned), encoding="utf-8")
    stack = Stack(home, _ports(), budgets=budgets.resolve())
    console = Console(highlight=False, quiet=as_json)
    filling = Filling(stack, console, CompanyMonth(month, thinned, seed))

    async def body(stop: asyncio.Event) -> None:
        try:
            with console.status("starting broker, ClickHouse and stages"):
                await stack.start()
            await filling.run(stop)
            if stop.is_set():
                return
            verdict = await filling.settle()
            if as_json:
                click.echo(json.dumps(filling.document(verdict)))
            if not verdict.ok:
                raise MonthNotLanded("archive, ledger and guard differ; see above")
            if not once:
                filling.announce()
                await stack.serve(stop)
        finally:
            await stack.stop()

    run_stage(body)


def _ports() -> Ports:
    """Those of `spendstream up`, which are easy to remember, where nobody uses them."""
    try:
        Ports().check_free()
    except UserError:
        return Ports.free()
    return Ports()


class Filling:
    """One month on its way into a stack."""

    def __init__(self, stack: Stack, console: Console, month: CompanyMonth) -> None:
        self._stack = stack
        self._console = console
        self._month = month
        self._calls = 0
        self._outcomes = 0
        self._alerts: Sequence[str] = ()

    async def run(self, stop: asyncio.Event) -> None:
        """Publish day by day. Each waits until the guard has counted the one before: it judges by
        the time of events, and shall not see weeks at once."""
        now = datetime.now(UTC)
        producer = usage_producer(self._stack.settings)
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        task = bar.add_task(f"the days of {self._month.month:%B %Y}", total=self._month.last)
        try:
            await producer.start()
            with nullcontext() if self._console.quiet else bar:
                for day in self._month.days():
                    if stop.is_set() or day.day > now.date():
                        return
                    await self._publish(producer, day, now)
                    await self._counted(stop)
                    bar.advance(task)
        finally:
            await producer.stop()

    async def _publish(self, producer: AIOKafkaProducer, day: Day, now: datetime) -> None:
        """What has happened of the day: the future is refused by every stage."""
        sent = []
        for call in day.calls:
            if call.fields["occurred_at"] <= now:
                event = UsageEvent.model_validate(call.fields)
                sent.append(await producer.send(USAGE, encode(event), key=event.team.encode()))
        self._calls += len(sent)
        for fields in day.outcomes:
            if fields["occurred_at"] <= now:
                outcome = checked_outcome(fields)
                value = encode_outcome(outcome)
                sent.append(await producer.send(OUTCOMES, value, key=outcome.key.encode()))
                self._outcomes += 1
        await asyncio.gather(*sent)

    async def _counted(self, stop: asyncio.Event) -> None:
        deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
        while not stop.is_set():
            state = await guard_state(self._stack.settings)
            counted = sum(part["calls"] for part in state["partitions"]) if state else 0
            if counted == self._calls:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise MonthNotLanded(
                    f"the guard has counted {counted:,} of {self._calls:,} calls, and no more for "
                    f"{GUARD_SECONDS:.0f} s (logs: {self._stack.folder / 'logs'})"
                )
            await sleep_unless(stop, 0.05)

    async def settle(self) -> Reconciliation:
        """Wait until all of it is in ClickHouse; print what is there, and whether it agrees."""
        settings = self._stack.settings
        with self._console.status("waiting for the last of it to land"):
            left = await wait_until_empty(settings, LANDING_SECONDS)
        if not left.empty:
            raise MonthNotLanded(f"after {LANDING_SECONDS:.0f} s this is still under way: {left}")
        guard = await guard_state(settings)
        connection = connect(settings)
        try:
            first, last = self._days
            await asyncio.to_thread(record_rates_in_use, connection, PriceBook.load(), first, last)
            verdict = await asyncio.to_thread(compare, connection, guard)
            alerts = await asyncio.to_thread(AlertLog(connection).published)
        finally:
            connection.close()
        self._alerts = [alert.title for alert in alerts if alert.transition == "opened"]
        out = self._console
        out.print(
            f"[bold]{first:%B %Y}[/] of a simulated company of 300: {self._calls:,} calls, "
            f"{self._outcomes:,} outcomes, {amount_text(usd(verdict.compared.cost), 'USD')}\n",
            soft_wrap=True,
        )
        out.print(f"{len(self._alerts)} alerts; the newest:" if self._alerts else "no alerts")
        for title in self._alerts[-SHOWN:]:
            out.print(f"  {title}")
        out.print()
        for text in report(verdict, settings):
            out.print(text, style="bold green" if verdict.ok else "bold red")
        return verdict

    @property
    def _days(self) -> tuple[date, date]:
        return self._month.month, self._month.month.replace(day=self._month.last)

    @property
    def _page(self) -> str:
        first, last = self._days
        return f"{self._stack.ingest}/?from={first}&to={last}"

    def document(self, verdict: Reconciliation) -> dict[str, object]:
        """The same for machines."""
        return {
            "month": f"{self._month.month:%Y-%m}",
            "events": self._calls,
            "outcomes": self._outcomes,
            "alerts": list(self._alerts),
            "page": self._page,
            "reconcile": as_document(verdict),
        }

    def announce(self) -> None:
        """Where to look; the stack runs on."""
        month, folder = f"{self._month.month:%Y-%m}", self._stack.folder
        first, last = self._days
        self._console.print("\n[bold green]the stack runs on[/]  (Ctrl-C stops it)\n")
        for what, where in (
            ("the page", self._page),
            ("a board's PDF", f"spendstream report board --month {month} --folder {folder}"),
            (
                "what would save",
                f"spendstream report savings --from {first} --to {last} --folder {folder}",
            ),
            ("ask with SQL", f"spendstream sql 'SELECT * FROM spend_by_team' --folder {folder}"),
            ("budgets, logs", str(folder.resolve())),
        ):
            self._console.print(f"  {what:<17} {where}", soft_wrap=True)
