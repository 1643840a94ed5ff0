"""What a format is: an export of a provider, recognised by its header, and how its lines are read.

Column names are compared in lower case. A format asks for the columns that it cannot be read
without; the rest may be missing, as exports are configured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from streams.imports.values import invalid, shown
from streams.invoices.line import Said

Row = Mapping[str, str]
"""Column in lower case → what stands there, without blanks around it; empty: nothing."""
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d*)?")


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of export.

    ``needs``: alternatives of columns that are needed; of each, one must be there. ``zone``: the
    IANA zone whose days the provider documents. ``read`` raises InvalidEvent where a line cannot be
    read, and Passed where it charges nothing or another service.
    """

    name: str
    title: str
    zone: str
    needs: tuple[tuple[str, ...], ...]
    read: Callable[[Row], Said]

    def missing(self, header: Sequence[str]) -> list[str]:
        """Needed columns that this header does not have."""
        there = {column.lower() for column in header}
        return [" or ".join(names) for names in self.needs if not there & set(names)]


def first(row: Row, *columns: str) -> str:
    """What stands in the first of these columns that holds something."""
    return next((row[column] for column in columns if row.get(column)), "")


def number(row: Row, *columns: str) -> Decimal | None:
    """A number, exact; None where there is none. Raises InvalidEvent."""
    said = first(row, *columns)
    if not said:
        return None
    plain = said.replace(",", "") if _GROUPED.fullmatch(said) else said
    try:
        if (found := Decimal(plain)).is_finite():
            return found
    except InvalidOperation:
        pass
    raise invalid(f"{columns[0]}: is {shown(said)}; a number was expected")


def amount_text(row: Row, *columns: str) -> str:
    """An amount with all its digits, as text. Raises InvalidEvent where there is none."""
    found = number(row, *columns)
    if found is None:
        raise invalid(f"{columns[0]}: is empty; an amount was expected")
    return f"{found:f}"


def days(row: Row, zone: str, begins: Sequence[str], ends: Sequence[str]) -> tuple[date, date]:
    """First and last day of a line in this zone. An end that is a time is not included, as every
    export has it; one that is a date is. Raises InvalidEvent."""
    begin = _moment(row, zone, *begins)
    if begin is None:
        raise invalid(f"{begins[0]}: is empty; a day was expected")
    end = _moment(row, zone, *ends) if ends else None
    if end is None:
        return begin.date(), begin.date()
    if _is_time(first(row, *ends)):
        end -= timedelta(microseconds=1)
    return begin.date(), max(begin, end).date()


def _moment(row: Row, zone: str, *columns: str) -> datetime | None:
    said = first(row, *columns)
    if not said:
        return None
    try:
        if said.isdigit():
            return datetime.fromtimestamp(int(said), UTC).astimezone(ZoneInfo(zone))
        if american := _AMERICAN.match(said):
            month, day, year = map(int, american.groups())
            return datetime(year, month, day, tzinfo=ZoneInfo(zone))
        at = datetime.fromisoformat(
            said.removesuffix(" UTC") + ("Z" if said[-4:] == " UTC" else "")
        )
        if at.tzinfo is None:
            # A date is a day of the provider's zone; a time without a zone is UTC in every export.
            return at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)) if _is_time(said) else at
    except (ValueError, OverflowError, OSError):
        raise invalid(
            f"{columns[0]}: is {shown(said)}; a day such as 2026-11-01 was expected"
        ) from None
    return at.astimezone(ZoneInfo(zone))


def _is_time(said: str) -> bool:
    return said.isdigit() or ":" in said
