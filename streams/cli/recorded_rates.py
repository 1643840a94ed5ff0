"""Rates on record before a report asks for them: savings are estimated by what is there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import click

from reports.savings.model import Model
from sinks.clickhouse import ClickHouseRefused
from streams.rating.pricebook import PriceBook
from streams.repricing.recording import record_rates_in_use
from streams.settings import Settings
from streams.stores import clickhouse as connect


def record_rates(
    settings: Settings, first: date, last: date, cheaper: Iterable[tuple[Model, Model]] = ()
) -> None:
    """The rates of the models in use. Who may not write reads on, with those that are there."""
    book = PriceBook.load(settings.prices)
    connection = connect(settings)
    try:
        record_rates_in_use(connection, book, first, last, cheaper)
    except ClickHouseRefused as error:
        click.echo(f"note: the rates of today's price book are not recorded: {error}", err=True)
    finally:
        connection.close()
