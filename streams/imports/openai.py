"""OpenAI's organization usage and costs.

`GET /v1/organization/usage/completions` (and `/embeddings`) and `GET /v1/organization/costs`: pages
of buckets, or buckets; and the CSV of the same that the dashboard exports. `input_text_tokens` and
its like leave out what a cache served or stored, and `input_tokens` includes it (openai-python,
`UsageCompletionsResponse`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from schemas.errors import InvalidEvent
from streams.imports.buckets import bucket_of, identity, label, results, split, tags
from streams.imports.source import Fields, Passed, Source
from streams.imports.values import (
    UNKNOWN,
    invalid,
    mapping,
    missing,
    money,
    service_tier,
    text,
    whole,
)

USAGE, COSTS = "openai-usage", "openai-costs"
_GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source")


def is_bucket(document: Mapping[str, Any]) -> bool:
    """Whether it is a page or a bucket of OpenAI's, whatever is in it."""
    data = document.get("data")
    if isinstance(data, list):
        return any(isinstance(bucket, Mapping) and is_bucket(bucket) for bucket in data)
    return "start_time" in document and "end_time" in document


def _results(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return results(document, "start_time", "end_time")


def _own_usage(document: Mapping[str, Any]) -> bool:
    return is_bucket(document) and any(not _is_cost(row) for row in _results(document))


def _own_costs(document: Mapping[str, Any]) -> bool:
    return is_bucket(document) and any(_is_cost(row) for row in _results(document))


def _is_cost(row: Mapping[str, Any]) -> bool:
    return "amount" in row or "amount_value" in row


def _empty(document: Mapping[str, Any]) -> bool:
    if "data" not in document and not is_bucket(document):
        return False
    return next(_results(document), None) is None


def usage_events(row: Mapping[str, Any]) -> list[Fields]:
    """Events of one usage result. Raises InvalidEvent and Passed."""
    start, _ = bucket_of(row)
    counts = usage_counts(row)
    if not any(counts.values()):
        raise Passed("nothing_used", "no tokens in this bucket")
    model = text(row.get("model"))
    if model is None:
        raise missing("model", "model: is not there; export with group_by=model")
    said = tags(row, "api_key_id", "api_source")
    tier = service_tier(text(row.get("service_tier")), said)
    common = {
        "event_id": identity(USAGE, row),
        "occurred_at": start,
        "provider": "openai",
        "model": model,
        "project": text(row.get("project_id")),
        "user": text(row.get("user_id")),
        "service_tier": "batch" if (text(row.get("batch")) or "").lower() == "true" else tier,
        "usage_source": "reported",
        "tags": said,
    }
    return split(common, counts, whole(row, "num_model_requests"))


def usage_counts(row: Mapping[str, Any]) -> dict[str, int]:
    """Disjoint tokens of a usage result; they add up to its input and output.

    Raises InvalidEvent where they do not, or where the result counts something else than tokens.
    """
    prompt = whole(row, "input_tokens")
    if prompt is None:
        kind = (
            str(row.get("object", "")).removeprefix("organization.usage.").removesuffix(".result")
        )
        raise InvalidEvent("not_tokens", f"{kind or 'the result'}: is not counted in tokens")
    answer = whole(row, "output_tokens") or 0
    audio, image = whole(row, "input_audio_tokens"), whole(row, "input_image_tokens")
    read_audio = whole(row, "input_cached_audio_tokens")
    read_image = whole(row, "input_cached_image_tokens")
    read = whole(row, "input_cached_tokens")
    read_text = whole(row, "input_cached_text_tokens")
    if read_text is None and read is not None:
        read_text = read - (read_audio or 0) - (read_image or 0)
    written = whole(row, "input_cache_write_tokens")
    plain = whole(row, "input_text_tokens")
    beside = (read_text, read_audio, read_image, written, audio, image)
    if plain is None:
        plain = prompt - sum(count or 0 for count in beside)
    out_audio, out_image = whole(row, "output_audio_tokens"), whole(row, "output_image_tokens")
    words = whole(row, "output_text_tokens")
    if words is None:
        words = answer - (out_audio or 0) - (out_image or 0)
    found = {
        "input_tokens": plain,
        "cache_read_tokens": read_text,
        "cache_write_5m_tokens": written,
        "input_audio_tokens": audio,
        "cache_read_audio_tokens": read_audio,
        "input_image_tokens": image,
        "cache_read_image_tokens": read_image,
        "output_tokens": None if row.get("output_tokens") in (None, "") else words,
        "output_audio_tokens": out_audio,
        "output_image_tokens": out_image,
    }
    counts = {name: count for name, count in found.items() if count is not None}
    if negative := next((name for name, count in counts.items() if count < 0), None):
        raise InvalidEvent("negative_tokens", f"{negative} would be {counts[negative]}")
    if sum(counts.values()) != prompt + answer:
        raise InvalidEvent(
            "tokens_do_not_add_up",
            f"the parts add up to {sum(counts.values())}, input and output to {prompt + answer}",
        )
    return counts


def cost_events(row: Mapping[str, Any]) -> list[Fields]:
    """The event of one cost result: money without tokens. Raises InvalidEvent and Passed."""
    start, _ = bucket_of(row)
    flat = {"value": row.get("amount_value"), "currency": row.get("amount_currency")}
    amount = mapping(row, "amount") or flat
    currency = (text(amount.get("currency")) or "usd").lower()
    if currency != "usd":
        raise invalid(f"amount.currency: is {currency!r}; provider_cost is in USD")
    cost = money(amount, "value")
    if cost is None:
        raise missing("amount", "amount.value: is not there")
    if Decimal(cost) == 0:
        raise Passed("nothing_used", "nothing was charged in this bucket")
    if Decimal(cost) < 0:
        raise InvalidEvent("bad_provider_cost", f"is {cost}: a credit is no cost of a call")
    said = {"bucket": label(row)} | tags(
        row, "line_item", "api_key_id", "quantity", "quantity_unit"
    )
    return [
        {
            "event_id": f"{identity(COSTS, row)}/1",
            "occurred_at": start,
            "provider": "openai",
            "model": UNKNOWN,
            "project": text(row.get("project_id")),
            "usage_source": "missing",
            "provider_cost": cost,
            "tags": said,
        }
    ]


OPENAI_USAGE = Source(
    name=USAGE,
    noun="OpenAI's usage (/v1/organization/usage/completions)",
    own=_own_usage,
    rows=_results,
    events=usage_events,
    attributes=_GROUPS,
    start=_empty,
)
OPENAI_COSTS = Source(
    name=COSTS,
    noun="OpenAI's costs (/v1/organization/costs)",
    own=_own_costs,
    rows=_results,
    events=cost_events,
    attributes=("project_id", "api_key_id", "line_item", "api_source"),
    start=_empty,
)
