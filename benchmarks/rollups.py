"""How long questions over the rollups of 100 million calls take, on the embedded engine.

A company is made up inside ClickHouse: 2,000 users in 40 teams and 8 departments, each with two
use cases and three models, over 90 days; its calls are summed by day and attribution, and three
million workflows by month, as the ledger's feeds would have done. Then the page is made for one
of the three months again and again, each path interleaved with the others, as the web stage makes
it: every query of its own that goes to a summary is timed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reports.page import render
from reports.viewer import EVERYBODY, Viewer
from sinks.clickhouse import ClickHouse
from streams.stack.ports import Ports
from streams.stack.stack import Stack

ROLLUPS = "rollups"
CALLS = 100_000_000
USERS, DAYS = 2_000, 90
ROUNDS = 20
P95_MS = 200.0
"""Target for the 95th percentile of every question."""

_ROWS_PER_USER_AND_DAY = 6  # two use cases, three models
_ROWS = USERS * DAYS * _ROWS_PER_USER_AND_DAY
_PER_ROW, _MORE = divmod(CALLS, _ROWS)
_MONTH = {"from": "2026-09-01", "to": "2026-09-30"}
_TODAY = date(2026, 10, 1)
_FILL = f"""
    INSERT INTO spend_by_day
    SELECT toDate('2026-08-03') + intDiv(number, {USERS * _ROWS_PER_USER_AND_DAY}) AS day,
           concat('department-', toString(t % 8)), concat('team-', toString(t)),
           concat('project-', toString(t * 3 + u % 3)), concat('use-case-', toString((u + c) % 5)),
           concat('application-', toString(t * 2 + u % 2)), if(u % 2 = 0, 'production', 'test'),
           concat('user-', toString(u)),
           if(u % 4 = 0, concat('customer-', toString((u + c) % 200)), NULL),
           ['openai', 'anthropic', 'google'][m % 3 + 1], concat('model-', toString(m)), NULL,
           if(m = 5, 'batch', NULL), ['frontier', 'balanced', 'cost-optimised'][m % 3 + 1], false,
           {_PER_ROW} + (number < {_MORE}) AS n, n, 0, 0, 0, intDiv(n, 20), intDiv(n, 12),
           intDiv(n, 10), intDiv(n, 25), n * (4000 + u), n * 1000, 0, n * 600,
           toDecimal128(n * (4000 + u), 12) / 500000, toDecimal128(n, 12) / 9000,
           toDecimal128(n, 12) / 8000, toDecimal128(n, 12) / 7000, NULL
    FROM (SELECT number, u, u % 40 AS t, (u + k % 3) % 12 AS m, intDiv(k, 3) AS c
          FROM (SELECT number, intDiv(number, {_ROWS_PER_USER_AND_DAY}) % {USERS} AS u,
                       number % {_ROWS_PER_USER_AND_DAY} AS k
                FROM numbers({_ROWS})))
"""
WORKFLOWS = 3_000_000
_FILL_WORKFLOWS = f"""
    INSERT INTO spend_by_workflow
    SELECT toDate('2026-08-01') + INTERVAL number % 3 MONTH, concat('run-', toString(number)),
           concat('department-', toString(number % 8)), concat('team-', toString(number % 40)),
           concat('project-', toString(number % 120)), concat('use-case-', toString(number % 5)),
           concat('application-', toString(number % 80)), NULL, 20,
           toDecimal128(number, 12) / 900000
    FROM numbers({WORKFLOWS})
"""
_RATE = """
    INSERT INTO exchange_rate_sets (currency, valid_from, units_per_usd, recorded_at)
    VALUES ('HKD', '1970-01-01 00:00:00', 7.8, '2026-10-01 00:00:00')
"""
LEAD = Viewer.of("lead", departments=["department-3"])
PAGES: Mapping[str, tuple[str, Mapping[str, str], Viewer]] = {
    "overview": ("/", {}, EVERYBODY),
    "overview in HKD": ("/", {"currency": "HKD"}, EVERYBODY),
    "overview of a lead": ("/", {}, LEAD),
    "departments": ("/attribution", {}, EVERYBODY),
    "teams of a department": ("/attribution", {"department": "department-3"}, EVERYBODY),
    "projects of a team": ("/attribution", {"team": "team-3"}, EVERYBODY),
    "users of a use case": ("/attribution", {"use_case": "use-case-2"}, EVERYBODY),
    "routing": ("/routing", {}, EVERYBODY),
    "prompts": ("/prompts", {}, EVERYBODY),
    "waste": ("/waste", {}, EVERYBODY),
    "unit costs": ("/units", {}, EVERYBODY),
    "data quality": ("/quality", {}, EVERYBODY),
}
"""What it shows: its path, its query beside the month, and who looks."""


class Timed(ClickHouse):
    """Keeps how long each query to the summaries took; others have nothing to read here."""

    took: list[float]

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        started = time.perf_counter()
        rows = super().query(sql, parameters)
        if "spend_by_day" in sql or "spend_by_workflow" in sql:
            self.took.append(time.perf_counter() - started)
        return rows


@dataclass(frozen=True, slots=True)
class RollupTimes:
    """``calls`` in ``rows`` of the summary. Seconds: ``queries``, page → each of its queries, and
    ``pages``, page → each time that it was made."""

    calls: int
    rows: int
    queries: Mapping[str, Sequence[float]]
    pages: Mapping[str, Sequence[float]]


async def measure_rollups(folder: Path) -> RollupTimes:
    """Fill the summary of an empty stack, and make every page once in each round."""
    stack = Stack(folder, Ports.free())
    try:
        await stack.start_stores()
        connection = Timed(stack.settings.clickhouse)
        try:
            return _asked(connection)
        finally:
            connection.close()
    finally:
        await stack.stop()


def _asked(connection: Timed) -> RollupTimes:
    connection.command(_FILL)
    connection.command(_FILL_WORKFLOWS)
    connection.command(_RATE)
    connection.took = []
    ((calls, rows),) = connection.query("SELECT sum(calls), count() FROM spend_by_day")
    if int(calls) != CALLS:
        raise AssertionError(f"{calls} calls were made up, not {CALLS}")
    queries: dict[str, list[float]] = {page: [] for page in PAGES}
    pages: dict[str, list[float]] = {page: [] for page in PAGES}
    for _ in range(ROUNDS):
        for page, (path, query, viewer) in PAGES.items():
            connection.took = queries[page]
            started = time.perf_counter()
            made = render(connection, path, {**_MONTH, **query}, viewer, today=_TODAY)
            pages[page].append(time.perf_counter() - started)
            if made.status != 200 or "There are no calls" in made.html:
                raise AssertionError(f"{page}: {made.status}")
    return RollupTimes(int(calls), int(rows), queries, pages)


def rollup_figures(times: RollupTimes) -> dict[str, Any]:
    """Milliseconds per page: median and 95th percentile of its queries, and median of the whole
    page; and the 95th percentile over all queries."""
    every = [took for answers in times.queries.values() for took in answers]
    return {
        "calls": times.calls,
        "rows": times.rows,
        "answers": len(every),
        "p95_milliseconds": _at(every, 0.95),
        "target_p95_milliseconds": P95_MS,
        "milliseconds": {
            page: {
                "p50": _at(answers, 0.5),
                "p95": _at(answers, 0.95),
                "page_p50": _at(times.pages[page], 0.5),
            }
            for page, answers in times.queries.items()
        },
    }


def _at(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 1)


def show_rollups(console: Console, times: RollupTimes) -> None:
    """Print these figures."""
    found = rollup_figures(times)
    title = f"the page's queries over {found['calls']:,} calls in {found['rows']:,} daily rows"
    table = Table(title=title)
    for heading in ("page", "query p50 ms", "query p95 ms", "whole page p50 ms"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for page, spread in found["milliseconds"].items():
        table.add_row(page, *(f"{spread[name]:g}" for name in ("p50", "p95", "page_p50")))
    console.print(table)
    met = "[green]yes[/]" if found["p95_milliseconds"] <= P95_MS else "[red]no[/]"
    console.print(
        f"p95 of all {found['answers']} queries: {found['p95_milliseconds']:g} ms; "
        f"at most {P95_MS:g} ms: {met}"
    )
