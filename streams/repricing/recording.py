"""Recording the rates of models in use, for reports that price single tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sinks.clickhouse import ClickHouse
from streams.rating.pricebook import PriceBook
from streams.repricing.prices import Key, record_prices

_KEYS = """
    SELECT DISTINCT provider, model, service_tier, region FROM spend_by_day
    WHERE day >= {first:Date} AND day <= {last:Date}
"""
Model = tuple[str, str]


def record_rates_in_use(
    clickhouse: ClickHouse,
    book: PriceBook,
    first: date,
    last: date,
    exchanges: Iterable[tuple[Model, Model]] = (),
) -> int:
    """Record the rates of the models called on these days; how many lines. Repeatable.

    ``exchanges``: a model and another one, whose rates are recorded for the same service tiers and
    regions. Raises ClickHouseError, also where the user may not write.
    """
    rows = clickhouse.query(_KEYS, {"first": first, "last": last})
    keys: set[Key] = {
        (str(provider), str(model), tier, region) for provider, model, tier, region in rows
    }
    for (provider, model), (to_provider, to_model) in exchanges:
        keys |= {
            (to_provider, to_model, tier, region)
            for of_provider, of_model, tier, region in keys
            if (of_provider, of_model) == (provider, model)
        }
    return record_prices(clickhouse, book, sorted(keys, key=str))
