"""A query with its values apart, and as the text that a reader can run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from clickhouse_connect.driver.binding import format_query_value

from sinks.clickhouse import ClickHouse

_PLACE = re.compile(r"\{(\w+):[\w() ]+\}")


@dataclass(frozen=True, slots=True)
class Query:
    """``sql`` has `{name:Type}` where the server binds the value of ``parameters`` of that name."""

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, clickhouse: ClickHouse) -> list[tuple[Any, ...]]:
        """What ClickHouse answers. Raises ClickHouseError."""
        used = {name: self.parameters[name] for name in _PLACE.findall(self.sql)}
        return clickhouse.query(self.sql, used)

    @property
    def text(self) -> str:
        """The same with the values in it, on one line: for `spendstream sql`."""
        whole = _PLACE.sub(lambda place: _literal(self.parameters[place[1]]), self.sql)
        return " ".join(whole.split()) if "'" not in whole else _one_line(whole)


def _literal(value: object) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        # Of its type, as where it is bound: text would do for some functions only.
        return f"toDate('{value}')"
    return str(format_query_value(list(value) if isinstance(value, tuple) else value))


def _one_line(sql: str) -> str:
    """Without line breaks between words; what stands in quotes stays as it is."""
    parts = re.split(r"('(?:[^'\\]|\\.)*')", sql)
    return "".join(
        part if index % 2 else re.sub(r"\s+", " ", part) for index, part in enumerate(parts)
    ).strip()
