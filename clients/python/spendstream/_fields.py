"""The fields of a usage event as a type, so that editors complete them and mypy knows them.

The Avro file documents each field; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypedDict

Kind = Literal["usage", "void"]
ServiceTier = Literal["standard", "batch", "flex", "priority"]
Status = Literal["ok", "error", "timeout", "rate_limited", "cancelled"]
UsageSource = Literal["reported", "estimated", "missing"]


class UsageFields(TypedDict, total=False):
    """What `emit` takes. None means not known, the same as leaving the field out; never zero.

    provider, model and team are required; team may come from the emitter's defaults. Token buckets
    are disjoint: a cached token is in ``cache_read_tokens`` and not in ``input_tokens`` as well.
    """

    event_id: str | None
    occurred_at: datetime | None
    kind: Kind | None
    voids: str | None
    provider: str | None
    model: str | None
    requested_model: str | None
    region: str | None
    service_tier: ServiceTier | None
    department: str | None
    team: str | None
    project: str | None
    use_case: str | None
    application: str | None
    environment: str | None
    user: str | None
    customer: str | None
    workflow: str | None
    request_id: str | None
    attempt: int | None
    retry_of: str | None
    status: Status | None
    error_code: str | None
    usage_source: UsageSource | None
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    input_audio_tokens: int | None
    cache_read_audio_tokens: int | None
    input_image_tokens: int | None
    cache_read_image_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    output_audio_tokens: int | None
    output_image_tokens: int | None
    total_tokens: int | None
    context_tokens: int | None
    prompt_hash: str | None
    prefix_hash: str | None
    prefix_tokens: int | None
    served_from_cache: bool | None
    routing_tier: str | None
    routing_reason: str | None
    shadow_of: str | None
    provider_cost: str | Decimal | None
    latency_ms: int | None
    tags: Mapping[str, str] | None


BUCKETS: tuple[str, ...] = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "cache_read_audio_tokens",
    "input_image_tokens",
    "cache_read_image_tokens",
    "output_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
)
"""The disjoint token buckets; their sum is what is billed."""
PROMPT_BUCKETS = BUCKETS[:8]
"""Those of the prompt."""
