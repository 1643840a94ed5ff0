from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider

from streams.rating.list_prices import ListPrices
from streams.rating.pricebook import PriceBook


@pytest.fixture(scope="session")
def book() -> PriceBook:
    """The installed genai-prices, without overrides."""
    return PriceBook.load()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a prices.yaml."""

    def write(text: str) -> Path:
        path = tmp_path / "prices.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def book_of() -> Callable[..., PriceBook]:
    """A book with one model, acme/m, that has the given list prices."""

    def make(prices: object = None, **fields: object) -> PriceBook:
        if isinstance(prices, dict):
            prices = ModelPrice(
                **{k: Decimal(v) if isinstance(v, str) else v for k, v in prices.items()}
            )
        model = ModelInfo("m", ClauseEquals("m"), prices=prices, **fields)
        provider = Provider("acme", "Acme", "https://acme", models=[model])
        return PriceBook(ListPrices([provider], "acme-list 1"))

    return make
