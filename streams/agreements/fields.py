"""Fields of an agreements file, and how they are written."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from streams.file_model import mistake, wrong

_LABEL = re.compile(r"\S(.{0,78}\S)?")
_PERCENT = re.compile(r"\d{1,2}(\.\d{1,6})?")


def _label(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not _LABEL.fullmatch(text):
        raise wrong(value, "write a name of one line, at most 80 letters")
    return text


def _provider(value: Any) -> str:
    return _label(value).lower()


def _models(value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list | tuple) else [value]
    if not names:
        raise mistake("is an empty list; leave the line out for every model")
    found = []
    for index, name in enumerate(names):
        text = name.strip().lower() if isinstance(name, str) else ""
        if not text or text == "*" or "*" in text[:-1]:
            raise mistake(
                f"is {name!r}; a model's name, or its beginning and a * such as claude-*; leave "
                "models out for every model of the provider",
                index,
            )
        found.append(text)
    return tuple(found)


def _percent(value: Any) -> Decimal:
    text = value.strip().removesuffix("%").strip() if isinstance(value, str) else str(value)
    if not _PERCENT.fullmatch(text) or not Decimal(text):
        raise wrong(value, "a percentage off, above 0 and below 100, without a sign, such as 12.5")
    return Decimal(text)


def _first_of_month(value: Any) -> date:
    if isinstance(value, date):
        day = value
    else:
        try:
            day = date.fromisoformat(str(value))
        except ValueError:
            raise wrong(value, "write the first of a month, such as 2026-10-01") from None
    if day.day != 1:
        following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
        raise wrong(
            value,
            f"agreements count whole months (UTC): write {day.replace(day=1)} or {following}",
        )
    return day


Label = Annotated[str, BeforeValidator(_label)]
Provider = Annotated[str, BeforeValidator(_provider)]
"""In lower case."""
Models = Annotated[tuple[str, ...], BeforeValidator(_models)]
"""In lower case; each a name, or a beginning and a `*`."""
Percent = Annotated[Decimal, BeforeValidator(_percent)]
FirstOfMonth = Annotated[date, BeforeValidator(_first_of_month)]
