"""The stages, one process each: `meter`, `sink`, `guard`, `web`, and the embedded ClickHouse."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import click

from streams.access import EMBEDDED_READER
from streams.settings import Settings, load_settings
from streams.stage import configure_logging, run_stage

if TYPE_CHECKING:
    from streams.health import Status


class Stage(Protocol):
    """What runs until it is told to stop, and can be asked how it is."""

    async def run(self, stop: asyncio.Event) -> None:
        """Do the stage's work until ``stop`` is set."""

    def status(self) -> Status:
        """Its own word, from any thread."""


def _settings(stage: str) -> Settings:
    settings = load_settings()
    configure_logging(stage, settings.log_level)
    return settings


def _run(name: str, settings: Settings, stage: Stage, *, clickhouse: bool = True) -> None:
    """Run a stage in this process, and serve its health. Raises UserError where the port is in use
    or ClickHouse, if the stage uses it, does not let it in."""
    from streams.health import Health
    from streams.health_server import excusing, serving
    from streams.stores import check_access

    health = Health(name, stage.status)
    with health.watching(), serving(health, settings.health_host, settings.health_port):
        if clickhouse:
            check_access(settings)
        run_stage(excusing(health, settings, stage.run))


@click.command()
def meter() -> None:
    """Meter usage: price it, roll it up, append it to the spend journal.

    Run as many as `llm.usage` has partitions. Example:

        SPENDSTREAM_KAFKA=kafka:9092 spendstream meter
    """
    from streams.metering.meter import Meter
    from streams.rating.pricebook import PriceBook
    from streams.schema_registry import schema_lookup

    settings = _settings("meter")
    book = PriceBook.load(settings.prices)
    _run("meter", settings, Meter(settings, book, schema_lookup(settings)))


@click.command()
@click.argument("which", type=click.Choice(["ledger", "archive"]))
def sink(which: str) -> None:
    """Land spend (ledger), or events and outcomes (archive), in ClickHouse. Example:

    SPENDSTREAM_CLICKHOUSE=http://clickhouse:8123 spendstream sink ledger
    """
    settings = _settings(which)
    if which == "ledger":
        from streams.landing.ledger import LedgerSink

        _run("ledger", settings, LedgerSink(settings))
    else:
        from streams.landing.archive_stage import ArchiveStage
        from streams.rating.pricebook import PriceBook
        from streams.schema_registry import schema_lookup

        book = PriceBook.load(settings.prices)
        _run("archive", settings, ArchiveStage(settings, book, schema_lookup(settings)))


@click.command()
def guard() -> None:
    """Watch budgets, storms and what is unusual, and send alerts. Example:

    SPENDSTREAM_BUDGETS=budgets.yaml SPENDSTREAM_SLACK_WEBHOOK=https://… spendstream guard
    """
    from streams.alerts.channels import channels_of
    from streams.guard.rule_files import RuleFiles
    from streams.guard.serve import GuardStage

    settings = _settings("guard")
    RuleFiles(settings)  # a mistake in them is told before anything is connected
    channels = channels_of(settings)
    _run("guard", settings, GuardStage(settings, channels))


@click.command()
def web() -> None:
    """Take usage events over HTTP: JSON, CloudEvents, OpenTelemetry. Example:

        SPENDSTREAM_TOKENS=tokens.yaml SPENDSTREAM_INGEST_HOST=0.0.0.0 spendstream web

    Run as many as you like. On loopback it needs no tokens.
    """
    from streams.web.doorkeeper import doorkeeper_of
    from streams.web.stage import WebStage

    settings = _settings("web")
    _run("web", settings, WebStage(settings, doorkeeper_of(settings)), clickhouse=False)


@click.command("embedded-clickhouse", hidden=True)
@click.argument("data", type=click.Path(path_type=Path, file_okay=False))
def embedded_clickhouse(data: Path) -> None:
    """Serve the embedded ClickHouse at SPENDSTREAM_CLICKHOUSE from a data folder."""
    from sinks.embedded import User, serve

    settings = load_settings()
    configure_logging("clickhouse", settings.log_level)
    address = urlsplit(settings.clickhouse)
    owner = User(settings.clickhouse_user, settings.clickhouse_password.get_secret_value())

    async def body(stop: asyncio.Event) -> None:
        users = (owner, User(EMBEDDED_READER, readonly=True))
        await serve(data, address.hostname or "", address.port or 8123, users, stop=stop)

    run_stage(body)
