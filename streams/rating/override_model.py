"""One price override: the fields of ``prices.yaml``, what is valid in them, and what they mean.

An override replaces the list price as a whole: a bucket that it does not name is charged like the
bucket that it is a part of (`FALLBACK`), never at the list's rate. Where a tier of ``tiers`` does
not name a bucket that the price names, the price's own rate holds on.

Every scalar arrives as text and numbers become Decimals: YAML's floats would be binary ones.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schemas.tokens import BUCKET_NAMES
from streams.file_model import FileModel
from streams.rating.cards import MAX_PER_CALL, MAX_RATE, Decision, Level, PriceSource, RateCard
from streams.rating.fields import Instant, Name, Tier, day_or_minute, quoted

RATE_KEYS: dict[str, str] = {name.removesuffix("_tokens"): name for name in BUCKET_NAMES}
"""Name in the file → bucket."""

FALLBACK: dict[str, tuple[str, ...]] = {
    "cache_read": ("input",),
    "cache_write_5m": ("input",),
    "cache_write_1h": ("cache_write_5m",),
    "input_audio": ("input",),
    "input_image": ("input",),
    "cache_read_audio": ("cache_read", "input_audio"),
    "cache_read_image": ("cache_read", "input_image"),
    "reasoning": ("output",),
    "output_audio": ("output",),
    "output_image": ("output",),
}
"""What an unnamed bucket is charged like. Of two, the one that the file names; both is an error."""

_AMOUNT = re.compile(r"\d{1,12}(\.\d{1,12})?")


def _amount(value: Any) -> Decimal:
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise PydanticCustomError(
            "amount",
            "is {value}; a plain decimal number of USD such as 2.50, not negative, "
            "at most 12 decimals",
            {"value": quoted(value)},
        )
    return Decimal(value)


def _rates(value: Any) -> dict[str, Decimal]:
    if not isinstance(value, dict):
        raise PydanticCustomError("rates", "is no mapping; write for example {input: 2.50}")
    for key in value:
        if key not in RATE_KEYS:
            raise PydanticCustomError(
                "rate_key", "has the unknown rate {key}", {"key": f"{key!r}; {_nearest_key(key)}"}
            )
    rates: dict[str, Decimal] = {}
    for key, text in value.items():
        try:
            rates[key] = _amount(text)
        except PydanticCustomError as error:
            raise PydanticCustomError(
                "rate", "{text}", {"text": f"{key} {error.message()}"}
            ) from None
        if rates[key] > MAX_RATE // 10**6:
            raise PydanticCustomError(
                "rate",
                "{key} is {value}; at most {limit} USD per million tokens",
                {"key": key, "value": text, "limit": MAX_RATE // 10**6},
            )
    return rates


def _per_call(value: Any) -> Decimal:
    price = _amount(value)
    if price > MAX_PER_CALL // 10**12:
        raise PydanticCustomError(
            "per_call",
            "is {value}; at most {limit} USD per call",
            {"value": value, "limit": MAX_PER_CALL // 10**12},
        )
    return price


def _threshold(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,10}", value):
        raise PydanticCustomError(
            "threshold", "is {value}; a whole number of tokens", {"value": quoted(value)}
        )
    return int(value)


Rates = Annotated[dict[str, Decimal], BeforeValidator(_rates)]


class TierPrice(FileModel):
    """Rates of a call with more than ``above_input_tokens`` input-side tokens: for all of them."""

    noun = "a tier"

    above_input_tokens: Annotated[int, BeforeValidator(_threshold)] = Field(examples=["128000"])
    usd_per_million_tokens: Rates = Field(examples=["{input: 2.50}"])


class Override(FileModel):
    """One price of the file. Names are in lower case; amounts are USD; ``effective_from`` is UTC.

    Without ``service_tier`` it is the price of the standard tier, without ``region`` of any.
    ``who`` decided on it, and ``why``: the reason, or the contract.
    """

    noun = "a price"

    provider: Name = Field(examples=["openai"])
    model: Name = Field(examples=["gpt-4o"])
    service_tier: Tier = "standard"
    region: Name | None = None
    effective_from: Instant = Field(examples=["2026-10-01"])
    usd_per_million_tokens: Rates = Field(default_factory=dict)
    tiers: tuple[TierPrice, ...] = ()
    usd_per_call: Annotated[Decimal, BeforeValidator(_per_call)] | None = None
    who: str | None = None
    why: str | None = None
    note: str | None = None

    @field_validator("tiers")
    @classmethod
    def _ascending(cls, tiers: tuple[TierPrice, ...]) -> tuple[TierPrice, ...]:
        starts = [tier.above_input_tokens for tier in tiers]
        if starts != sorted(set(starts)):
            raise PydanticCustomError(
                "tiers", "are not in ascending order of above_input_tokens, each once"
            )
        return tiers

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.usd_per_million_tokens and self.usd_per_call is None:
            raise PydanticCustomError(
                "no_price", "names no price; give usd_per_million_tokens or usd_per_call"
            )
        self.levels()
        return self

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        """Provider, model, service tier, region."""
        return self.provider, self.model, self.service_tier, self.region

    def levels(self) -> list[Level]:
        """The prices by input size, every bucket resolved by `FALLBACK`."""
        base = self.usd_per_million_tokens
        levels = [Level(None, _resolved(base), self.usd_per_call)]
        for tier in self.tiers:
            rates = _resolved(base | tier.usd_per_million_tokens)
            levels.append(Level(tier.above_input_tokens, rates, self.usd_per_call))
        return levels

    def card(self, file: str) -> RateCard:
        """The rate card; ``file`` is named in its reference."""
        since = day_or_minute(self.effective_from)
        tier = "" if self.service_tier == "standard" else f" {self.service_tier}"
        region = f" {self.region}" if self.region else ""
        label = f"{file}:{self.provider}/{self.model}{tier}{region} from {since}"
        decision = Decision("price", self.who, self.why, self.note)
        source = PriceSource(name=file, comments=self.note, decisions=(decision,))
        return RateCard.of(label, self.service_tier, self.levels(), source)


def _resolved(named: dict[str, Decimal]) -> dict[str, Decimal | None]:
    def rate(key: str) -> Decimal | None:
        if key in named:
            return named[key]
        parents = FALLBACK.get(key, ())
        of_file = [parent for parent in parents if parent in named]
        if len(of_file) > 1:
            raise PydanticCustomError(
                "ambiguous",
                "names {a} and {b}, so {key} could be either; name {key} too",
                {"a": of_file[0], "b": of_file[1], "key": key},
            )
        chosen: Iterable[str] = of_file or parents[:1]
        return next((rate(parent) for parent in chosen), None)

    return {bucket: rate(key) for key, bucket in RATE_KEYS.items()}


def _nearest_key(key: object) -> str:
    close = difflib.get_close_matches(str(key).removesuffix("_tokens"), RATE_KEYS, n=1)
    known = f"known are {', '.join(RATE_KEYS)}"
    return f"did you mean {close[0]}?" if close else known
