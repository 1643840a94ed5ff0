"""Charts: the specification holds the data, the exact values, and compiles."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import vl_convert
from rich.console import Console

from reports.charts.days import spend_by_day_chart
from reports.charts.images import NotDrawn, picture
from reports.charts.parts import parts_chart
from reports.charts.terminal import bar, bars, days, sparkline
from reports.charts.tiers import tier_shares_chart
from reports.figures.figure import Column, Table

SPEND = Decimal("1234.567890123456")


def table(*rows: tuple[Any, ...], columns: str) -> Table:
    made = tuple(Column(name, name, "text") for name in columns.split())
    return Table("t", "T", made, rows, "", "")


BY_DAY = table((date(2026, 11, 1), SPEND), (date(2026, 11, 2), None), columns="day spend")
BY_TEAM = table((None, Decimal(2)), ("none", Decimal(1)), ("dark", None), columns="team spend")
TIERS = table(
    (date(2026, 11, 1), "cost-optimised", 3),
    (date(2026, 11, 1), None, 1),
    (date(2026, 11, 2), "own tier", 5),
    columns="day routing_tier calls",
)


def values(spec: dict[str, Any]) -> list[dict[str, Any]]:
    layer = spec["layer"][0] if "layer" in spec else spec
    found: list[dict[str, Any]] = data_of(spec, layer)
    return found


def data_of(spec: dict[str, Any], layer: dict[str, Any]) -> Any:
    return spec["datasets"][layer["data"]["name"]]


def test_a_day_that_is_not_known_has_no_column_and_the_exact_value_is_kept():
    assert values(spend_by_day_chart(BY_DAY, "USD")) == [
        {"day": "2026-11-01", "money": float(SPEND), "exact": "1234.567890123456 USD"}
    ]


def test_a_part_that_is_called_none_is_not_the_one_without_a_name():
    names = [value["name"] for value in values(parts_chart(BY_TEAM, "team", "spend", "USD"))]
    assert names == ["none", "none "]


def test_shares_of_tiers_are_of_their_day_and_begin_with_the_cheapest():
    spec = tier_shares_chart(TIERS, Decimal("0.5"))
    assert [(value["tier"], value["share"]) for value in values(spec)] == [
        ("cost-optimised", 0.75),
        ("no tier", 0.25),
        ("own tier", 1.0),
    ]
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == ["cost-optimised", "own tier", "no tier"]
    assert data_of(spec, spec["layer"][1]) == [{"share": 0.5}]


@pytest.mark.parametrize(
    "spec",
    [
        spend_by_day_chart(BY_DAY, "HKD", width=400),
        parts_chart(BY_TEAM, "team", "spend", "USD", width=400),
        parts_chart(BY_TEAM, "team", "spend", "", kind="share", width=400),
        tier_shares_chart(TIERS, Decimal("0.5"), width=400),
    ],
    ids=["days", "parts", "shares", "tiers"],
)
def test_a_chart_is_drawn(spec):
    assert vl_convert.vegalite_to_svg(spec).startswith("<svg")


@pytest.mark.slow
def test_a_chart_is_a_picture_for_messages_and_documents():
    spec = spend_by_day_chart(BY_DAY, "USD", width=300)
    assert picture(spec, "png").startswith(b"\x89PNG")
    assert picture(spec, "svg").startswith(b"<svg")


@pytest.mark.slow
def test_what_is_no_chart_is_told_in_one_line():
    with pytest.raises(NotDrawn, match="the chart was not drawn: ") as told:
        picture({"mark": 5})
    assert "\n" not in str(told.value)


def test_the_terminal_draws_the_same_data():
    console = Console(width=80, record=True, file=None, color_system=None)
    with console.capture() as shown:
        console.print(bars(BY_TEAM, "team", "spend", "USD"))
        console.print(days(BY_DAY, "spend", "USD"))
    lines = shown.get().splitlines()
    assert lines[0].split() == ["none", "█" * 30, "$2.00"]
    assert lines[1].split() == ["none", "█" * 15, "$1.00"]
    assert lines[2].split() == ["dark", "–"]
    assert lines[3].startswith("2026-11-01 █· 2026-11-02")


def test_what_is_there_leaves_a_trace_and_what_is_not_leaves_none():
    assert sparkline([0, 1, 10**9, None]) == " ▁█·"
    assert bar(Decimal("0.0001"), 100) == "▏"
    assert bar(0, 100) == ""
    assert sparkline([]) == ""
