"""Money in another currency: which there are, and at what rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from reports.figures.ask import rates
from reports.figures.lens import USD, Lens
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse


@dataclass(frozen=True, slots=True)
class Rates:
    """Units of the currency for a dollar over the days of a period; None: there is no rate.

    ``missing``: days with calls that have none; what was spent on them is in no amount.
    """

    currency: str
    lowest: Decimal | None
    highest: Decimal | None
    missing: tuple[date, ...]


def currencies(clickhouse: ClickHouse) -> Sequence[str]:
    """USD first, then what the budgets file has rates for. Raises ClickHouseError."""
    rows = clickhouse.query("SELECT DISTINCT currency FROM exchange_rates ORDER BY currency")
    return [USD, *(name for (name,) in rows if name != USD)]


def rates_of(clickhouse: ClickHouse, lens: Lens, known: Sequence[str]) -> Rates | None:
    """Of the lens's currency; None: it is USD, and nothing is converted.

    Raises UserError for a currency without any rate, ClickHouseError.
    """
    if lens.currency == USD:
        return None
    if lens.currency not in known:
        raise UserError(
            f"currency: there is no exchange rate for {lens.currency}; known are {', '.join(known)}"
        )
    spread = lens.query(f"SELECT min(rate), max(rate) FROM ({rates()})")
    ((lowest, highest),) = spread.rows(clickhouse)
    without = lens.query(
        f"SELECT DISTINCT day FROM spend_by_day WHERE {lens.where()} "
        f"AND day NOT IN (SELECT day FROM ({rates()})) ORDER BY day"
    )
    missing = tuple(day for (day,) in without.rows(clickhouse))
    return Rates(lens.currency, lowest, highest, missing)
