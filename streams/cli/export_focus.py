"""`spendstream export focus`: a month as FOCUS 1.2 has it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import click

from reports.focus.export import Account, FocusFile, Form, export_focus
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.cli.months import Month
from streams.cli.options import FOLDER
from streams.cli.usd_words import usd_text
from streams.rating.pricebook import PriceBook
from streams.repricing.prices import Key, record_prices
from streams.settings import PREFIX
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect

_KEYS = """
    SELECT DISTINCT provider, model, service_tier, region
    FROM spend
    WHERE toStartOfMonth(minute) = toDate({month:String}) AND cost IS NOT NULL
"""


class BillingAccount(click.ParamType):
    """An account as its provider calls it: `openai=org-4711:Acme`."""

    name = "account"

    def convert(self, value: Any, param: click.Parameter | None, ctx: Any) -> Account:
        """Raises UserError for what is none."""
        if isinstance(value, Account):
            return value
        provider, _, rest = str(value).partition("=")
        identifier, _, name = rest.partition(":")
        if not provider.strip() or not identifier.strip():
            raise UserError(
                f"--account: {value!r} is no account; write provider=id or provider=id:name, "
                "such as openai=org-4711:Acme"
            )
        return Account(provider.strip(), identifier.strip(), name.strip() or identifier.strip())


@click.command()
@click.option("--month", type=Month(), required=True, metavar="MONTH", help="UTC, as 2026-11.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
)
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True
)
@click.option(
    "--account",
    "accounts",
    type=BillingAccount(),
    multiple=True,
    metavar="PROVIDER=ID[:NAME]",
    help="Billing account at a provider.  [default: the provider's name]",
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Price overrides.  [default: the running stack's, or {PREFIX}PRICES]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def focus(
    month: date,
    out: Path,
    form: Form,
    accounts: tuple[Account, ...],
    prices: Path | None,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Write a month as FOCUS 1.2, the format of cloud bills: a charge per class of tokens. Example:

        spendstream export focus --month 2026-11 --out exports

    The charges add up to the ledger to the last digit. Prices of the month's models are recorded
    first, as what is split by. Columns, and what is left out: docs/focus.md.
    """
    settings = settings_for(folder, clickhouse=clickhouse, prices=prices)
    book = PriceBook.load(settings.prices)
    connection = connect(settings)
    try:
        keys = _keys(connection, month)
        if not keys:
            raise UserError(f"--month: the ledger has no cost in {month:%Y-%m} (UTC)")
        record_prices(connection, book, keys)
        if settings.prices is not None:  # the list beside what was agreed on
            record_prices(connection, PriceBook.load(), keys)
        written = export_focus(connection, month, out, form, accounts)
    finally:
        connection.close()
    click.echo(json.dumps(_document(written)) if as_json else _words(written))


def _keys(connection: ClickHouse, month: date) -> list[Key]:
    rows = connection.query(_KEYS, {"month": str(month)})
    return [(str(provider), str(model), tier, region) for provider, model, tier, region in rows]


def _words(written: FocusFile) -> str:
    charges = written.charges
    lines = [
        f"{written.path}: {written.rows:,} rows, {written.size:,} bytes",
        f"  {usd_text(charges.cost)} billed, as in the ledger",
    ]
    if charges.corrections:
        lines.append(f"  rows of the class Correction: {charges.corrections:,}")
    if charges.not_split:
        lines.append(
            f"  {usd_text(charges.not_split)} not split over token classes: "
            "no recorded price gives it"
        )
    left_out = {
        "without a known price": charges.unpriced,
        "without known tokens": charges.without_usage,
        "answered by a gateway's cache": charges.cached,
    }
    told = [f"{count:,} {why}" for why, count in left_out.items() if count]
    if told:
        lines.append(f"  calls that are no charge: {', '.join(told)}")
    return "\n".join(lines)


def _document(written: FocusFile) -> dict[str, object]:
    charges = written.charges
    return {
        "file": str(written.path),
        "rows": written.rows,
        "bytes": written.size,
        "billed_usd": f"{charges.cost:f}",
        "not_split_usd": f"{charges.not_split:f}",
        "corrections": charges.corrections,
        "unpriced_calls": charges.unpriced,
        "calls_without_usage": charges.without_usage,
        "cached_calls": charges.cached,
    }
