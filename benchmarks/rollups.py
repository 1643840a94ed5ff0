"""How long questions over the rollups of 100 million calls take, on the embedded engine.

A company is made up inside ClickHouse: 2,000 users in 40 teams and 8 departments, each with two use
cases and three models, over 90 days; its calls are summed by day and attribution as the ledger's
feed would have done. Every question is about one of the three months, asked over HTTP again and
again, interleaved with the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sinks.clickhouse import ClickHouse
from streams.stack.ports import Ports
from streams.stack.stack import Stack
from streams.stores import clickhouse

ROLLUPS = "rollups"
CALLS = 100_000_000
USERS, DAYS = 2_000, 90
ROUNDS = 20
P95_MS = 200.0
"""Target for the 95th percentile of every question."""

_ROWS_PER_USER_AND_DAY = 6  # two use cases, three models
_ROWS = USERS * DAYS * _ROWS_PER_USER_AND_DAY
_PER_ROW, _MORE = divmod(CALLS, _ROWS)
_MONTH = "day >= '2026-09-01' AND day < '2026-10-01'"
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
QUESTIONS: Mapping[str, str] = {
    "the month": f"SELECT sum(cost), sum(calls) FROM spend_by_day WHERE {_MONTH}",
    "by day": f"SELECT day, sum(cost) FROM spend_by_day WHERE {_MONTH} GROUP BY day",
    "by department": (
        f"SELECT department, sum(cost), sum(calls) FROM spend_by_day WHERE {_MONTH} "
        "GROUP BY department"
    ),
    "teams of a department": (
        f"SELECT team, sum(cost), sum(calls) FROM spend_by_day WHERE {_MONTH} "
        "AND department = 'department-3' GROUP BY team"
    ),
    "users of a team": (
        f"SELECT user, sum(cost) AS usd, sum(calls) FROM spend_by_day WHERE {_MONTH} "
        "AND team = 'team-3' GROUP BY user ORDER BY usd DESC LIMIT 20"
    ),
    "models by day": (
        f"SELECT day, model, sum(cost) FROM spend_by_day WHERE {_MONTH} GROUP BY day, model"
    ),
    "failures and retries": (
        "SELECT team, sum(failed_calls), sum(retries), sum(wasted_cost) FROM spend_by_day "
        f"WHERE {_MONTH} GROUP BY team"
    ),
    "caching by model": (
        "SELECT model, sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens), "
        f"sum(output_tokens) FROM spend_by_day WHERE {_MONTH} GROUP BY model"
    ),
    "tier_shares": "SELECT * FROM tier_shares WHERE month = '2026-09-01'",
    "active_users": "SELECT * FROM active_users WHERE month = '2026-09-01'",
    "customer_costs": (
        "SELECT customer, sum(cost) AS usd FROM customer_costs WHERE month = '2026-09-01' "
        "GROUP BY customer ORDER BY usd DESC LIMIT 20"
    ),
    "data_quality": (
        "SELECT sum(calls), sum(unpriced_calls), sum(cost_without_project) FROM data_quality "
        f"WHERE {_MONTH}"
    ),
}


@dataclass(frozen=True, slots=True)
class RollupTimes:
    """``calls`` in ``rows`` of the summary; question → seconds that each answer took."""

    calls: int
    rows: int
    seconds: Mapping[str, Sequence[float]]


async def measure_rollups(folder: Path) -> RollupTimes:
    """Fill the summary of an empty stack, and ask every question once in each round."""
    stack = Stack(folder, Ports.free())
    try:
        await stack.start_stores()
        connection = clickhouse(stack.settings)
        try:
            return _asked(connection)
        finally:
            connection.close()
    finally:
        await stack.stop()


def _asked(connection: ClickHouse) -> RollupTimes:
    connection.command(_FILL)
    ((calls, rows),) = connection.query("SELECT sum(calls), count() FROM spend_by_day")
    if int(calls) != CALLS:
        raise AssertionError(f"{calls} calls were made up, not {CALLS}")
    seconds: dict[str, list[float]] = {question: [] for question in QUESTIONS}
    for _ in range(ROUNDS):
        for question, sql in QUESTIONS.items():
            started = time.perf_counter()
            answer = connection.query(sql)
            seconds[question].append(time.perf_counter() - started)
            if not answer:
                raise AssertionError(f"{question}: no rows")
    return RollupTimes(int(calls), int(rows), seconds)


def rollup_figures(times: RollupTimes) -> dict[str, Any]:
    """Milliseconds per question: median and 95th percentile; and that over all answers."""
    every = [took for answers in times.seconds.values() for took in answers]
    return {
        "calls": times.calls,
        "rows": times.rows,
        "answers": len(every),
        "p95_milliseconds": _at(every, 0.95),
        "target_p95_milliseconds": P95_MS,
        "milliseconds": {
            question: {"p50": _at(answers, 0.5), "p95": _at(answers, 0.95)}
            for question, answers in times.seconds.items()
        },
    }


def _at(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 1)


def show_rollups(console: Console, times: RollupTimes) -> None:
    """Print these figures."""
    found = rollup_figures(times)
    table = Table(title=f"questions over {found['calls']:,} calls in {found['rows']:,} daily rows")
    for heading in ("", "p50 ms", "p95 ms"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for question, spread in found["milliseconds"].items():
        table.add_row(question, f"{spread['p50']:g}", f"{spread['p95']:g}")
    console.print(table)
    met = "[green]yes[/]" if found["p95_milliseconds"] <= P95_MS else "[red]no[/]"
    console.print(
        f"p95 of all {found['answers']} answers: {found['p95_milliseconds']:g} ms; "
        f"at most {P95_MS:g} ms: {met}"
    )
