"""genai-prices' own calculation, as the independent second opinion on a cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from genai_prices.types import ModelInfo, ModelPrice, Provider, Usage

PRICE_CONTEXTS = {
    None: None,
    "standard": None,
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}


def overlapping_usage(buckets: Mapping[str, int]) -> Usage:
    """Disjoint buckets as the overlapping numbers that genai-prices takes."""

    def total(*names: str) -> int:
        return sum(buckets.get(f"{name}_tokens", 0) for name in names)

    text = ("input", "cache_read", "cache_write_5m", "cache_write_1h")
    audio = ("input_audio", "cache_read_audio")
    image = ("input_image", "cache_read_image")
    writes = ("cache_write_5m", "cache_write_1h")
    return Usage(
        input_tokens=total(*text, *audio, *image),
        input_text_tokens=total(*text),
        input_audio_tokens=total(*audio),
        input_image_tokens=total(*image),
        cache_read_tokens=total("cache_read", "cache_read_audio", "cache_read_image"),
        cache_text_read_tokens=total("cache_read"),
        cache_audio_read_tokens=total("cache_read_audio"),
        cache_image_read_tokens=total("cache_read_image"),
        cache_write_tokens=total(*writes),
        cache_write_5m_tokens=total("cache_write_5m"),
        cache_write_1h_tokens=total("cache_write_1h"),
        cache_text_write_tokens=total(*writes),
        cache_text_write_5m_tokens=total("cache_write_5m"),
        cache_text_write_1h_tokens=total("cache_write_1h"),
        output_tokens=total("output", "reasoning", "output_audio", "output_image"),
        output_text_tokens=total("output", "reasoning"),
        output_reasoning_tokens=total("reasoning"),
        output_text_reasoning_tokens=total("reasoning"),
        output_audio_tokens=total("output_audio"),
        output_image_tokens=total("output_image"),
    )


@dataclass(frozen=True)
class SecondOpinion:
    """``cost``: pico-dollars, or None where some of the tokens are priced by nothing."""

    cost: int | None


def second_opinion(
    provider: Provider,
    model: ModelInfo,
    buckets: Mapping[str, int],
    at: datetime,
    service_tier: str | None,
) -> SecondOpinion:
    usage = overlapping_usage(buckets)
    with localcontext(prec=80):  # its sums must not be rounded before ours are compared with them
        try:
            result = model.calc_price(
                usage,
                provider,
                genai_request_timestamp=at,
                price_context=PRICE_CONTEXTS[service_tier],
            )
        except ValueError as error:
            if "price for" not in str(error):
                raise
            return SecondOpinion(None)  # it refuses a price list with a gap
        if _is_silent_about(result.model_price, usage):
            return SecondOpinion(None)
        pico = result.total_price.scaleb(12)
        return SecondOpinion(int(pico.quantize(Decimal(1), ROUND_HALF_EVEN)))


def _is_silent_about(price: ModelPrice, usage: Usage) -> bool:
    """Every unit's ancestors are priced too, so input_mtok and output_mtok tell for each side."""
    if price.input_mtok is None and usage.input_tokens:
        return True
    if price.output_mtok is None and usage.output_tokens:
        return True
    return all(p is None for p in (price.input_mtok, price.output_mtok, price.requests_kcount))
