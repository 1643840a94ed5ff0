"""The figures: medians, ratios against their targets, as tables and as JSON."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.broker import Rate
from benchmarks.quota import QuotaTimes

WHAT: Mapping[str, str] = {
    "getmany": "aiokafka getmany alone, nothing decoded",
    "meter": "the meter process",
    "faust": "idiomatic faust agent: fastavro, windowed table with changelog",
    "pipeline": "broker, ClickHouse, meter, ledger, archive, guard",
    "decode": "step: bytes to checked columns",
    "rate": "step: prices",
    "rollup": "step: journal rows",
    "emit": "the client, calls in one thread",
    "web": "the web stage, requests of 100",
}


@dataclass(frozen=True, slots=True)
class Target:
    """``upper`` must be at least ``factor`` times ``lower``."""

    upper: str
    lower: str
    factor: float


TARGETS = (
    Target("meter", "getmany", 0.5),
    Target("meter", "faust", 50),
    Target("pipeline", "faust", 40),
)

WEBHOOK_SECONDS = {"p50": 0.7, "p99": 1.5}
"""Targets from a usage event to an alert in the receiver's hands, at 2,000 events a second."""
ANSWER_MS = 5.0
"""What the 99th percentile of `GET /v1/quota` is to stay under."""

Runs = Mapping[str, Sequence[Rate]]


def medians(runs: Runs) -> dict[str, float]:
    """Events per second, the median of each measurement's repeats."""
    return {name: median(rate.per_second for rate in rates) for name, rates in runs.items()}


def ratios(runs: Runs) -> dict[str, float]:
    """The median over the rounds of each target's ratio; only of what was measured.

    Round by round, as both sides of a round met the same machine.
    """
    return {
        f"{target.upper}/{target.lower}": median(
            upper.per_second / lower.per_second
            for upper, lower in zip(runs[target.upper], runs[target.lower], strict=True)
        )
        for target in TARGETS
        if target.upper in runs and target.lower in runs
    }


def as_json(runs: Runs, repeat: int) -> dict[str, Any]:
    """Everything that was measured, and on what machine."""
    found = ratios(runs)
    figures = {name: round(rate) for name, rate in medians(runs).items()}
    return {
        "events_per_second": figures,
        "emit_microseconds": round(1e6 / medians(runs)["emit"], 1) if "emit" in runs else None,
        "ratios": {
            f"{t.upper}/{t.lower}": {
                "ratio": round(found[f"{t.upper}/{t.lower}"], 3),
                "target": t.factor,
                "met": found[f"{t.upper}/{t.lower}"] >= t.factor,
            }
            for t in TARGETS
            if f"{t.upper}/{t.lower}" in found
        },
        "repeats": repeat,
        "runs": {
            name: [{"events": r.events, "seconds": round(r.seconds, 4)} for r in rates]
            for name, rates in runs.items()
        },
        "machine": {
            "cores": os.cpu_count(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "python": platform.python_version(),
            "system": platform.platform(terse=True),
        },
    }


def quota_figures(times: QuotaTimes) -> dict[str, Any]:
    """How late it was known that a budget was used up; the overshoot; how long an answer took."""
    return {
        "events_per_second": times.per_second,
        "budgets": len(times.seconds),
        "alerts": len(times.alerts),
        "seconds_until_webhook": _spread(times.alerts, 1, 3),
        "seconds_until_refused": _spread(times.seconds, 1, 3),
        "overshoot_percent": _spread(times.overshoot, 1, 2),
        "answers": len(times.answers),
        "answer_milliseconds": _spread(times.answers, 1000, 2),
        "answers_at_rest": len(times.at_rest),
        "answer_milliseconds_at_rest": _spread(times.at_rest, 1000, 2),
        "decisions": len(times.decisions),
        "decision_milliseconds": _spread(times.decisions, 1000, 4),
    }


def _spread(values: Sequence[float], factor: float, digits: int) -> dict[str, float]:
    """Of so few values the 99th percentile may be the highest."""
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99, "highest": 1.0}
    return {
        name: round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * factor, digits)
        for name, share in at.items()
    }


def show_quota(console: Console, times: QuotaTimes) -> None:
    """Print these figures."""
    found = quota_figures(times)
    table = Table(title=f"quota: {found['budgets']} budgets used up at {times.per_second:,} /s")
    for heading in ("", "p50", "p99", "highest"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for name, unit in (
        ("seconds_until_webhook", f"seconds from usage event to webhook, {found['alerts']} alerts"),
        ("seconds_until_refused", "seconds from the call that used it up to the first refusal"),
        ("overshoot_percent", "overshoot, percent of the limit"),
        ("answer_milliseconds", f"milliseconds for each of {found['answers']:,} answers"),
        ("answer_milliseconds_at_rest", f"the same at rest, {found['answers_at_rest']:,} answers"),
        ("decision_milliseconds", f"milliseconds for each of {found['decisions']:,} in memory"),
    ):
        table.add_row(unit, *(f"{value:g}" for value in found[name].values()))
    console.print(table)
    webhook = found["seconds_until_webhook"]
    in_time = all(webhook[name] <= limit for name, limit in WEBHOOK_SECONDS.items())
    wanted = ", ".join(f"{name} ≤ {limit:g} s" for name, limit in WEBHOOK_SECONDS.items())
    console.print(f"alerts in time ({wanted}): {'[green]yes[/]' if in_time else '[red]no[/]'}")
    p99 = found["answer_milliseconds_at_rest"]["p99"]
    met = "[green]yes[/]" if p99 < ANSWER_MS else "[red]no[/]"
    console.print(f"answers at rest under {ANSWER_MS:g} ms (p99): {met}")


def show(console: Console, runs: Runs) -> None:
    """Print both tables."""
    middle = medians(runs)
    figures = Table(title="events per second")
    for heading in ("", "median", "lowest", "highest", "events", "what"):
        figures.add_column(heading, justify="left" if heading in ("", "what") else "right")
    for name, rates in runs.items():
        speeds = [rate.per_second for rate in rates]
        figures.add_row(
            name,
            *(f"{speed:,.0f}" for speed in (middle[name], min(speeds), max(speeds))),
            f"{rates[0].events:,}",
            WHAT[name],
        )
    console.print(figures)
    if "emit" in middle:
        console.print(f"emit: {1e6 / middle['emit']:.1f} µs a call")
    found = ratios(runs)
    targets = Table(title="ratios (median of the rounds)")
    for heading in ("", "ratio", "target", "met"):
        targets.add_column(heading, justify="left" if heading == "" else "right")
    for target in TARGETS:
        name = f"{target.upper}/{target.lower}"
        if name in found:
            met = "[green]yes[/]" if found[name] >= target.factor else "[red]no[/]"
            targets.add_row(name, f"{found[name]:.2f}", f"≥ {target.factor:g}", met)
    if targets.row_count:
        console.print(targets)
