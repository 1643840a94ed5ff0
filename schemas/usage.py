"""The usage event: one billed call of a language model. The rules of the contract live here.

The Avro files in ``schemas/avro`` say how it travels; this model says what is valid. Batch decoding
(`schemas.batch`) only finds suspects in columns, and lets this model judge and word the reason.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.errors import InvalidEvent
from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS, MAX_TOKENS_PER_EVENT, OUTPUT_BUCKETS

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before this no model was billed by the token: a time below it is a unit mistake (s for ms)."""
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""Beyond it ClickHouse's DateTime ends soon, and so does any price book."""
FUTURE_LIMIT = timedelta(minutes=10)
"""An event that happened later than its record was appended, by more than this, is refused: a clock
is wrong, and a budget of next month would be charged. Part of the contract rather than a setting,
so that every reader of a record decides alike, today and when it is read again."""
MAX_TEXT = 1024
"""Longest text field, characters: a prompt put into a field by mistake is refused, not stored."""
MAX_LONG = 2**63 - 1
MAX_ATTEMPT = 2**31 - 1
VOID_PREFIX = "void:"
ATTRIBUTION = (
    *("team", "department", "project", "use_case", "application"),
    *("environment", "user", "customer", "workflow"),
)
"""Fields that say whose a call is, and what for."""

Kind = Literal["usage", "void"]
ServiceTier = Literal["standard", "batch", "flex", "priority"]
Status = Literal["ok", "error", "timeout", "rate_limited", "cancelled"]
UsageSource = Literal["reported", "estimated", "missing"]


def _not_blank(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("blank_field", "is empty; give a name, or leave the field out")
    return value


def _within_contract(value: datetime) -> datetime:
    if not EARLIEST <= value < LATEST:
        raise PydanticCustomError(
            "time_out_of_range",
            "is {time}; times from 2000 to 2099 are metered (is the unit right?)",
            {"time": value.isoformat()},
        )
    return value


def _iso_text_or_datetime(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or value[4:5] != "-":
        raise PydanticCustomError(
            "invalid_field", "is not ISO 8601 text with a zone, such as 2026-11-01T12:00:00Z"
        )
    return value


def _plain_decimal(value: str) -> str:
    """The same number without exponent, sign, padding or foreign digits: what databases parse."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    sign, _, exponent = number.as_tuple()
    if not isinstance(exponent, int) or exponent < -12 or sign or number >= 10**9:
        raise PydanticCustomError(
            "bad_provider_cost",
            "is '{value}'; USD as decimal text, not negative, at most 12 decimals",
            {"value": value[:80]},
        )
    return f"{number:f}"


Text = Annotated[str, Field(strict=True, max_length=MAX_TEXT)]
Required = Annotated[Text, BeforeValidator(_not_blank)]
Count = Annotated[StrictInt, Field(ge=-(2**63), le=MAX_LONG)]
Time = Annotated[AwareDatetime, BeforeValidator(_iso_text_or_datetime)]


class UsageEvent(BaseModel):
    """One call. Optional fields are null when unknown, never zero. Times are UTC; costs are USD.

    Field by field the newest ``schemas/avro/usage_event.v*.avsc``, which documents each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: Required
    occurred_at: Time
    kind: Kind = "usage"
    voids: Text | None = None
    provider: Required
    model: Required
    requested_model: Text | None = None
    region: Text | None = None
    service_tier: ServiceTier | None = None
    department: Text | None = None
    team: Required
    project: Text | None = None
    use_case: Text | None = None
    application: Text | None = None
    environment: Text | None = None
    user: Text | None = None
    customer: Text | None = None
    workflow: Text | None = None
    request_id: Text | None = None
    attempt: Annotated[StrictInt, Field(le=MAX_ATTEMPT)] | None = None
    retry_of: Text | None = None
    status: Status | None = None
    error_code: Text | None = None
    usage_source: UsageSource
    input_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_5m_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    input_audio_tokens: Count | None = None
    cache_read_audio_tokens: Count | None = None
    input_image_tokens: Count | None = None
    cache_read_image_tokens: Count | None = None
    output_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    output_audio_tokens: Count | None = None
    output_image_tokens: Count | None = None
    total_tokens: Count | None = None
    context_tokens: Count | None = None
    prompt_hash: Text | None = None
    prefix_hash: Text | None = None
    prefix_tokens: Count | None = None
    served_from_cache: StrictBool | None = None
    routing_tier: Text | None = None
    routing_reason: Text | None = None
    shadow_of: Text | None = None
    provider_cost: Text | None = None
    latency_ms: Count | None = None
    tags: dict[Text, Text] | None = None

    @field_validator("occurred_at")
    @classmethod
    def _time_in_range(cls, value: datetime) -> datetime:
        # In this order: at the edges of year 1 and 9999 a conversion to UTC overflows.
        return _within_contract(value).astimezone(UTC)

    @field_validator("provider_cost")
    @classmethod
    def _cost_is_decimal_text(cls, value: str | None) -> str | None:
        return value if value is None else _plain_decimal(value)

    @field_validator("attempt")
    @classmethod
    def _attempts_start_at_one(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise PydanticCustomError(
                "bad_attempt", "is {value}; the first attempt is 1", {"value": value}
            )
        return value

    @field_validator("latency_ms", "context_tokens", "prefix_tokens")
    @classmethod
    def _not_negative(cls, value: int | None) -> int | None:
        if value is not None and value < 0:
            raise PydanticCustomError("negative_value", "is {value}, below zero", {"value": value})
        return value

    @model_validator(mode="after")
    def _buckets_add_up(self) -> Self:
        given = {name: value for name in BUCKET_NAMES if (value := getattr(self, name)) is not None}
        for name, value in given.items():
            if value < 0:
                raise PydanticCustomError(
                    "negative_tokens",
                    "{name} is {value}, below zero",
                    {"name": name, "value": value},
                )
        total = sum(given.values())
        if total > MAX_TOKENS_PER_EVENT:
            raise PydanticCustomError(
                "too_many_tokens",
                "the buckets hold {total} tokens; one call may have {limit}",
                {"total": total, "limit": MAX_TOKENS_PER_EVENT},
            )
        if self.usage_source == "missing" and given:
            raise PydanticCustomError(
                "tokens_without_source",
                "usage_source is missing, yet {names} is set; say reported or estimated",
                {"names": ", ".join(given)},
            )
        if self.usage_source != "missing" and not given:
            raise PydanticCustomError(
                "no_tokens",
                "usage_source is {source}, yet no bucket is set; say missing where none is known",
                {"source": self.usage_source},
            )
        if self.total_tokens is not None and self.total_tokens != total:
            raise PydanticCustomError(
                "tokens_do_not_add_up",
                "the disjoint buckets add up to {total}, total_tokens says {said}",
                {"total": total, "said": self.total_tokens},
            )
        prompt = [given[name] for name in INPUT_BUCKETS if name in given]
        if self.prefix_tokens is not None and prompt and self.prefix_tokens > sum(prompt):
            raise PydanticCustomError(
                "prefix_too_long",
                "prefix_tokens is {prefix}, more than the prompt, which has {prompt}",
                {"prefix": self.prefix_tokens, "prompt": sum(prompt)},
            )
        return self

    @model_validator(mode="after")
    def _voids_name_their_target(self) -> Self:
        if self.kind == "usage":
            if self.voids is not None:
                raise PydanticCustomError("bad_void", "voids is set, yet kind is usage")
            if self.event_id.startswith(VOID_PREFIX):
                raise PydanticCustomError(
                    "bad_void", "the event_id of usage may not start with void:"
                )
        elif not self.voids or self.event_id != VOID_PREFIX + self.voids:
            raise PydanticCustomError(
                "bad_void",
                "a void names in voids the event it takes back, and has the event_id '{wanted}'",
                {"wanted": f"{VOID_PREFIX}{self.voids or '<voids>'}"},
            )
        return self

    @property
    def input_side_tokens(self) -> int:
        """Tokens of the prompt, all buckets."""
        return sum(getattr(self, name) or 0 for name in INPUT_BUCKETS)

    @property
    def output_side_tokens(self) -> int:
        """Tokens of the answer, all buckets."""
        return sum(getattr(self, name) or 0 for name in OUTPUT_BUCKETS)


def checked(fields: object) -> UsageEvent:
    """The event made of these fields. Raises InvalidEvent with the first rule that is broken."""
    try:
        return UsageEvent.model_validate(fields)
    except ValidationError as error:
        raise _as_invalid_event(error) from None


_OWN_CODES = frozenset(
    {
        "blank_field",
        "time_out_of_range",
        "bad_provider_cost",
        "bad_attempt",
        "negative_value",
        "negative_tokens",
        "too_many_tokens",
        "tokens_without_source",
        "no_tokens",
        "tokens_do_not_add_up",
        "prefix_too_long",
        "bad_void",
    }
)


def _as_invalid_event(error: ValidationError) -> InvalidEvent:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    kind = first["type"]
    message = str(first["msg"])
    if kind == "missing":
        return InvalidEvent("missing_field", f"{where} is required")
    if kind == "extra_forbidden":
        return InvalidEvent("unknown_field", f"{where} is no field of a usage event; use tags")
    if kind not in _OWN_CODES:
        kind = "invalid_field"
        if not isinstance(first["input"], dict | list):
            message = f"{message} (got {str(first['input'])[:80]!r})"
    return InvalidEvent(kind, f"{where}: {message}" if where else message)
