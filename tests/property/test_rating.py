"""rate() against genai-prices' own arithmetic: every listed model, and made-up price lists."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import (
    ClauseEquals,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.tokens import BUCKET_NAMES
from streams.rating.list_prices import ListPrices
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate
from tests.support.frames import NOON, usage_frame
from tests.support.genai import PRICE_CONTEXTS, second_opinion

SAMPLES_PER_MODEL = 2
QUICK_STEP = 9  # the quick run takes every ninth model; `make test` takes all
CALLS_AROUND = (0, 1, 999, 32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 524_288)
TIERS = tuple(PRICE_CONTEXTS)


def random_buckets(rng: random.Random) -> dict[str, int]:
    """A few buckets; often one short of, at or above a threshold in use."""
    names = rng.sample(BUCKET_NAMES, rng.randint(1, 5))
    buckets = {name: rng.choice((rng.randrange(5_000), rng.randrange(10**8))) for name in names}
    if rng.random() < 0.5:
        edge = rng.choice(CALLS_AROUND) + rng.choice((0, 0, 1))
        buckets = {name: 0 for name in names if "output" not in name} | {
            name: value for name, value in buckets.items() if "output" in name
        }
        return buckets | {"input_tokens": edge}
    return buckets


def random_time(rng: random.Random, model: ModelInfo) -> datetime:
    """Any time of seven years, or close to one of the model's own start dates."""
    sources = [
        *(model.prices if isinstance(model.prices, list) else ()),
        *(model.price_variants or ()),
    ]
    days = [
        s.constraint.start_date for s in sources if isinstance(s.constraint, StartDateConstraint)
    ]
    if days and rng.random() < 0.6:
        midnight = datetime.combine(rng.choice(days), time(), UTC)
        return midnight + timedelta(microseconds=rng.choice((-1, 0, rng.randrange(86_400_000_000))))
    return datetime(2021, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(7 * 365 * 86_400))


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


def every_model(book: PriceBook) -> list[tuple[str, str, Provider, ModelInfo]]:
    """(provider id, model id, and what genai-prices makes of them)."""
    snapshot = DataSnapshot(book.list_prices.providers, from_auto_update=False)
    models = []
    for provider in book.list_prices.providers:
        for listed in provider.models:
            try:
                found = snapshot.find_provider_model(listed.id, None, provider.id, None)
            except LookupError:
                continue  # an id that its own match rules do not accept: no event can name it
            models.append((provider.id, listed.id, *found))
    assert len(models) > 2_000
    return models


@pytest.mark.parametrize("step", [QUICK_STEP, pytest.param(1, marks=pytest.mark.slow)])
def test_every_listed_model_costs_what_genai_prices_says(book: PriceBook, step: int):
    rng = random.Random(20261101 + step)
    rows, opinions = [], []
    for provider_id, model_id, provider, model in every_model(book)[::step]:
        for _ in range(SAMPLES_PER_MODEL):
            buckets, at = random_buckets(rng), random_time(rng, model)
            tier = rng.choice(TIERS)
            opinions.append(second_opinion(provider, model, buckets, at, tier))
            key = {"provider": provider_id, "model": model_id, "service_tier": tier}
            rows.append({**key, "occurred_at": at, **buckets})
    rated = rate(usage_frame(rows), book)
    wrong = [
        (row["provider"], row["model"], row["occurred_at"], row["cost_pico"], opinion.cost)
        for row, opinion in zip(rated.iter_rows(named=True), opinions, strict=True)
        if (row["cost_pico"], row["rating"])
        != (opinion.cost, "unpriced" if opinion.cost is None else "priced")
    ]
    assert wrong == []
    assert rated.filter(rating="priced").height > len(rows) / 2
    assert rated.filter(rating="unpriced").height > len(rows) / 50


def test_one_reference_names_one_price(book: PriceBook):
    named: dict[str, object] = {}
    for provider_id, model_id, *_ in every_model(book)[::QUICK_STEP]:
        for tier in TIERS:
            for period in book.schedule(provider_id, model_id, tier, None).periods:
                for card in {window.card for window in period.windows} - {None}:
                    price = (card.rates, card.per_call, card.thresholds, card.denominator)
                    assert named.setdefault(card.price_ref, price) == price


AMOUNTS = st.decimals(0, 9000, places=None, allow_nan=False, allow_infinity=False).filter(
    lambda amount: amount.as_tuple().exponent >= -18
) | st.sampled_from([Decimal("0.0000005"), Decimal("0.0833333333333333"), Decimal("1.5")])


@st.composite
def tiered(draw: st.DrawFn) -> Decimal | TieredPrices:
    starts = draw(st.lists(st.integers(0, 3_000), max_size=3))
    base = draw(AMOUNTS)
    return TieredPrices(base, [Tier(s, draw(AMOUNTS)) for s in starts]) if starts else base


OPTIONAL_PRICES = st.dictionaries(
    st.sampled_from(
        ["cache_write_mtok", "output_reasoning_mtok", "output_audio_mtok", "output_image_mtok"]
    ),
    tiered(),
)
USAGE = st.dictionaries(st.sampled_from(BUCKET_NAMES), st.integers(0, 2_000), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    inputs=st.none() | tiered(),
    outputs=st.none() | tiered(),
    per_call=st.none() | st.sampled_from([Decimal(5), Decimal("0.0000000005")]),
    optional=OPTIONAL_PRICES,
    calls=st.lists(USAGE, min_size=1, max_size=6),
)
def test_any_price_list_costs_what_genai_prices_says(
    inputs: Decimal | TieredPrices | None,
    outputs: Decimal | TieredPrices | None,
    per_call: Decimal | None,
    optional: dict[str, Decimal | TieredPrices],
    calls: list[dict[str, int]],
):
    named = {
        key: value
        for key, value in optional.items()
        if (outputs if key.startswith("output") else inputs) is not None
    }
    price = ModelPrice(input_mtok=inputs, output_mtok=outputs, requests_kcount=per_call, **named)
    model = ModelInfo("m", ClauseEquals("m"), prices=price)
    provider = Provider("acme", "Acme", "https://acme", models=[model])
    book = PriceBook(ListPrices([provider], "acme-list 1"))
    rows = [{"provider": "acme", "model": "m", **call} for call in calls]
    expected = [second_opinion(provider, model, call, NOON, None).cost for call in calls]
    assert rate(usage_frame(rows), book)["cost_pico"].to_list() == expected
