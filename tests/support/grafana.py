"""Grafana's dashboards: their panels, and their SQL as ClickHouse gets it.

Macros and variables are expanded as the ClickHouse data source does, by its documentation
(https://grafana.com/docs/plugins/grafana-clickhouse-datasource/latest/, "Macros" and "Template
variables") and the source of version 4.20.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
GRAFANA = REPOSITORY / "examples" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "operations.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
VARIABLES: list[dict[str, Any]] = DASHBOARD["templating"]["list"]


@dataclass(frozen=True)
class View:
    """What the reader of a dashboard has chosen.

    Attributes:
        start, end: the time range, inclusive.
        interval: seconds between two points.
        chosen: the values of each variable; one that is not here is on "All".
    """

    start: datetime
    end: datetime
    interval: int = 60
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def expand(self, sql: str) -> str:
        """The query that ClickHouse gets.

        Raises:
            ValueError: if there is a macro or variable that Grafana would leave as it is.
        """
        text = self._conditional(sql)
        for name, values in self.chosen.items():
            quoted = ",".join("'" + value.replace("'", "\\'") + "'" for value in values)
            text = text.replace(f"${{{name}:singlequote}}", quoted)
        first, last = (f"toDateTime({int(time.timestamp())})" for time in (self.start, self.end))
        days = tuple(f"toDate('{time:%Y-%m-%d}')" for time in (self.start, self.end))
        step = f"INTERVAL {self.interval} second"
        for macro, expanded in (
            (r"\$__timeFilter\((\w+)\)", rf"\1 >= {first} AND \1 <= {last}"),
            (r"\$__dateFilter\((\w+)\)", rf"\1 >= {days[0]} AND \1 <= {days[1]}"),
            (r"\$__timeInterval\((\w+)\)", rf"toStartOfInterval(toDateTime(\1), {step})"),
            (r"\$__fromTime\b", first),
            (r"\$__toTime\b", last),
            (r"\$__interval_s\b", str(self.interval)),
        ):
            text = re.sub(macro, expanded, text)
        if "$" in text:
            raise ValueError(f"not expanded: {text[text.index('$') :][:60]}")
        return text

    def _conditional(self, sql: str) -> str:
        """``$__conditionalAll(condition, $variable)``: 1=1 where the variable is on "All"."""
        while (found := re.search(r"\$__conditionalAll\(", sql)) is not None:
            depth, end, commas = 1, found.end(), []
            while depth:
                depth += {"(": 1, ")": -1}.get(sql[end], 0)
                if sql[end] == "," and depth == 1:
                    commas.append(end)
                end += 1
            if len(commas) != 1:
                raise ValueError(f"not two parameters: {sql[found.start() : end]}")
            condition, variable = sql[found.end() : commas[0]], sql[commas[0] + 1 : end - 1]
            kept = condition if variable.strip().removeprefix("$") in self.chosen else "1=1"
            sql = sql[: found.start()] + kept + sql[end:]
        return sql


def sql_of(panel: Mapping[str, Any]) -> str:
    """The query of a panel: each has one."""
    (target,) = panel["targets"]
    text: str = target["rawSql"]
    return text


def tables_of(sql: str) -> set[str]:
    """The tables and views that a query names."""
    return set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", sql))
