"""The stages, one process each: `meter`, `sink`, `guard`, and the embedded ClickHouse."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import click

from streams.settings import load_settings
from streams.stage import configure_logging, run_stage


@click.command()
def meter() -> None:
    """Meter usage: price it, roll it up, append it to the spend journal.

    Run as many as `llm.usage` has partitions. Example:

        SPENDSTREAM_KAFKA=kafka:9092 spendstream meter
    """
    from streams.metering.meter import Meter
    from streams.rating.pricebook import PriceBook
    from streams.schema_registry import schema_lookup

    settings = load_settings()
    configure_logging("meter", settings.log_level)
    book = PriceBook.load(settings.prices)
    run_stage(Meter(settings, book, schema_lookup(settings)).run)


@click.command()
@click.argument("which", type=click.Choice(["ledger", "archive"]))
def sink(which: str) -> None:
    """Land spend (ledger) or events (archive) in ClickHouse. Example:

    SPENDSTREAM_CLICKHOUSE=http://clickhouse:8123 spendstream sink ledger
    """
    settings = load_settings()
    configure_logging(which, settings.log_level)
    if which == "ledger":
        from streams.landing.ledger import LedgerSink

        run_stage(LedgerSink(settings).run)
    else:
        from streams.landing.archive import ArchiveSink
        from streams.rating.pricebook import PriceBook
        from streams.schema_registry import schema_lookup

        book = PriceBook.load(settings.prices)
        run_stage(ArchiveSink(settings, book, schema_lookup(settings)).run)


@click.command()
def guard() -> None:
    """Watch budgets and retry storms, and send alerts. Example:

    SPENDSTREAM_BUDGETS=budgets.yaml SPENDSTREAM_SLACK_WEBHOOK=https://… spendstream guard
    """
    from streams.alerts.channels import channels_of
    from streams.guard.budget_file import read_budgets
    from streams.guard.serve import serve_guard

    settings = load_settings()
    configure_logging("guard", settings.log_level)
    if settings.budgets is not None:
        read_budgets(settings.budgets)
    channels = channels_of(settings)
    run_stage(lambda stop: serve_guard(settings, channels, stop))


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
        users = (owner, User("reader", readonly=True))
        await serve(data, address.hostname or "", address.port or 8123, users, stop=stop)

    run_stage(body)
