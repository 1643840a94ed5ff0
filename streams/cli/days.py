"""Calendar days, UTC, as options of commands take them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import click

from schemas.errors import UserError


class Day(click.ParamType):
    """A calendar day."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: Any) -> date:
        """Raises UserError for what is no day."""
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            option = param.opts[0] if param else "a day"
            raise UserError(f"{option}: {value!r} is no day; write it as 2026-03-31") from None


def check_order(first: date, last: date) -> None:
    """Raises UserError where `--to` is before `--from`."""
    if last < first:
        raise UserError(f"--to: {last} is before --from {first}; exchange them")


def today_utc() -> date:
    """The day on which somebody asks."""
    return datetime.now(UTC).date()
