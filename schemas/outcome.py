"""The outcome event: what became of a call or of a workflow: its quality, a ticket solved.

On the topic `llm.outcomes` as JSON. An outcome is a fact of its own: it may come long after the
call that it judges, more than one may judge a call, and it costs nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.errors import InvalidEvent
from schemas.usage import EARLIEST, FUTURE_LIMIT, LATEST, Required, Text, Time
from schemas.wire import json_document

QUALITY = "quality"
"""Name of the outcomes that `spendstream report routing` compares."""
MAX_OUTCOME_BYTES = 65_536
"""Largest record value: every field at its longest, and room for tags."""
MAX_DECIMALS = 12
LARGEST = Decimal(10) ** 15
"""Values are below it, either sign: what fits a column of 38 digits, with room for sums."""


def _decimal_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError(
            "bad_value", 'is not text; write the number in quotes, such as "0.87"'
        )
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_DECIMALS or abs(number) >= LARGEST:
        raise PydanticCustomError(
            "bad_value",
            "is '{value}'; a decimal number as text, below 10^15, at most {most} decimals",
            {"value": value[:80], "most": MAX_DECIMALS},
        )
    return f"{number:f}"


Value = Annotated[str, BeforeValidator(_decimal_text)]


class OutcomeEvent(BaseModel):
    """What became of one call (``of``) or of one ``workflow``. Times are UTC; null is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome_id: Required = Field(description="Identity: the first outcome of an id counts.")
    occurred_at: Time = Field(description="When it was known, ISO 8601 with a zone.")
    of: Required | None = Field(
        default=None, description="event_id of the call that it judges; this or `workflow`."
    )
    workflow: Required | None = Field(
        default=None, description="Workflow that it is the outcome of."
    )
    name: Required = Field(description="What was measured, such as `quality`, `resolved_ticket`.")
    value: Value = Field(description="How much, as decimal text, such as `0.87`.")
    department: Text | None = None
    team: Text | None = Field(default=None, description="The team of the call or workflow.")
    project: Text | None = None
    use_case: Text | None = None
    application: Text | None = None
    environment: Text | None = None
    user: Text | None = None
    customer: Text | None = None
    tags: dict[Text, Text] | None = None

    @field_validator("occurred_at")
    @classmethod
    def _time_in_range(cls, value: datetime) -> datetime:
        if not EARLIEST <= value < LATEST:
            raise PydanticCustomError(
                "time_out_of_range",
                "is {time}; expected a time from 2000 to 2099 (is the unit right?)",
                {"time": value.isoformat()},
            )
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _is_of_something(self) -> Self:
        if self.of is None and self.workflow is None:
            raise PydanticCustomError(
                "no_subject",
                "says neither of (the event_id of a call) nor workflow; give at least one",
            )
        return self

    @property
    def key(self) -> str:
        """Key of the record: outcomes of one workflow, or of one call, are in one partition."""
        return self.workflow or self.of or self.outcome_id

    @property
    def amount(self) -> Decimal:
        """The value as a number."""
        return Decimal(self.value)


def checked_outcome(fields: object) -> OutcomeEvent:
    """The outcome made of these fields. Raises InvalidEvent with the first rule that is broken."""
    try:
        return OutcomeEvent.model_validate(fields)
    except ValidationError as error:
        raise _refused(error) from None


def not_of_the_future(outcome: OutcomeEvent, now: datetime) -> None:
    """Raise InvalidEvent where it happened later than ``now`` by more than the contract allows."""
    if outcome.occurred_at - now > FUTURE_LIMIT:
        minutes = FUTURE_LIMIT // timedelta(minutes=1)
        raise InvalidEvent(
            "time_in_future",
            f"occurred_at: is more than {minutes} minutes after {now:%Y-%m-%dT%H:%M:%SZ}; "
            "is the clock of the producer right?",
        )


def encode_outcome(outcome: OutcomeEvent) -> bytes:
    """The record's value: JSON without the fields that are null. Raises InvalidEvent: too large."""
    value = outcome.model_dump_json(exclude_none=True).encode()
    _check_size(value)
    return value


def decode_outcome(value: bytes | None) -> OutcomeEvent:
    """The outcome in a record's value. Raises InvalidEvent with the reason."""
    if not value:
        raise InvalidEvent("empty_value", "the record has no value; an outcome was expected")
    _check_size(value)
    return checked_outcome(json_document(value))


def _check_size(value: bytes) -> None:
    if len(value) > MAX_OUTCOME_BYTES:
        raise InvalidEvent(
            "event_too_large",
            f"the outcome has {len(value):,} bytes; at most {MAX_OUTCOME_BYTES:,} are read",
        )


_OWN_CODES = frozenset({"blank_field", "time_out_of_range", "bad_value", "no_subject"})


def _refused(error: ValidationError) -> InvalidEvent:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    kind, message = first["type"], str(first["msg"])
    if kind == "missing":
        return InvalidEvent("missing_field", f"{where} is required")
    if kind == "extra_forbidden":
        return InvalidEvent("unknown_field", f"{where} is no field of an outcome; use tags")
    if kind == "model_type":
        return InvalidEvent("invalid_field", "an outcome is a JSON object")
    if kind not in _OWN_CODES:
        kind = "invalid_field"
        if not isinstance(first["input"], dict | list):
            message = f"{message} (got {str(first['input'])[:80]!r})"
    return InvalidEvent(kind, f"{where}: {message}" if where else message)
