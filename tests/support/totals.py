"""What a trace must come to, by another way than the meter's: one event at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

from schemas.tokens import BUCKET_NAMES
from schemas.wire import decode
from tests.support.genai import second_opinion

TOTALS_SQL = (
    "SELECT sum(calls) AS calls, sum(input_tokens) AS input_tokens, "
    "sum(cache_read_tokens) AS cache_read_tokens, sum(output_tokens) AS output_tokens, "
    "sum(cost) AS cost FROM spend"
)


@dataclass(frozen=True)
class Totals:
    """``cost`` in USD, exact."""

    calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
        )

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Totals:
        """From a row of `TOTALS_SQL`, as JSON has it."""
        return cls(**{**row, "cost": Decimal(row["cost"])})


@cache
def _listed(provider: str, model: str) -> tuple[Provider, ModelInfo]:
    return get_snapshot().find_provider_model(model, None, provider, None)


def independent_totals(values: Iterable[bytes]) -> Totals:
    """Totals of usage events as bytes: decoded one by one, priced by genai-prices' calc_price."""
    calls = tokens_in = cached = tokens_out = pico = 0
    for value in values:
        event = decode(value)
        buckets = {name: count for name in BUCKET_NAMES if (count := getattr(event, name))}
        provider, model = _listed(event.provider, event.model)
        cost = second_opinion(provider, model, buckets, event.occurred_at, event.service_tier).cost
        assert cost is not None, f"{event.provider}/{event.model} has no price"
        calls += 1
        tokens_in += event.input_tokens or 0
        cached += event.cache_read_tokens or 0
        tokens_out += event.output_tokens or 0
        pico += cost
    return Totals(calls, tokens_in, cached, tokens_out, Decimal(pico).scaleb(-12))
