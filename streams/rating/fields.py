"""Fields that prices, discounts and uplifts of ``prices.yaml`` share, and how they are written."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _start(value: Any) -> datetime:
    """Midnight UTC of a date, or an instant with a zone, on a whole minute."""
    start = _instant(value) if isinstance(value, str) else None
    if start is None or start.second or start.microsecond or start.year < 1971:
        raise PydanticCustomError(
            "start",
            "is {value}; a UTC date such as 2026-10-01, or a whole minute with its zone such as "
            "2026-10-01T06:00Z",
            {"value": quoted(value)},
        )
    return start


def _instant(text: str) -> datetime | None:
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        start = datetime.fromisoformat(text)
    except ValueError:
        return None
    return start.astimezone(UTC) if start.tzinfo else None


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PydanticCustomError("name", "is empty; give a name, or leave the line out")
    return value.strip().lower()


Name = Annotated[str, BeforeValidator(_name)]
"""In lower case."""
Instant = Annotated[datetime, BeforeValidator(_start)]
"""UTC, a whole minute."""
Tier = Literal["standard", "batch", "flex", "priority"]


def day_or_minute(at: datetime) -> str:
    """An instant as a file says it: 2026-10-01, or 2026-10-01T06:00Z within a day."""
    return f"{at:%Y-%m-%d}" if at.time() == time() else f"{at:%Y-%m-%dT%H:%MZ}"


def quoted(value: object) -> str:
    """A value of the file as an error repeats it."""
    return repr(str(value)[:60]) if isinstance(value, str) else "not a plain value"
