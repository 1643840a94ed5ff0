"""A calendar month, as an option of commands takes it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import click

from schemas.errors import UserError


class Month(click.ParamType):
    """A calendar month, as its first day."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: Any) -> date:
        """Raises UserError for what is no month."""
        try:
            return datetime.strptime(str(value), "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
        except ValueError:
            option = param.opts[0] if param else "a month"
            raise UserError(f"{option}: {value!r} is no month; write it as 2026-03") from None
