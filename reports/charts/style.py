"""What all charts have in common: size, colours, axes; and how they become dictionaries."""

from __future__ import annotations

from typing import Any

import altair as alt

from reports.figures.figure import exact_text

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c")
"""Okabe and Ito's colours, told apart by the colour-blind; the first is the accent."""
ACCENT, WARM, GREEN, GREY = PALETTE[0], PALETTE[5], PALETTE[2], PALETTE[6]
_SPARSE: dict[str, Any] = {"labelOverlap": "greedy", "labelSeparation": 12, "labelFlush": True}
HEIGHT = 220
"""Pixels without axes. The width is that of what the chart stands in."""
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "HKD": "HK$"}


def money_axis(currency: str) -> str:
    """Vega expression of an axis label: `$1.2k`, `HK$300`."""
    symbol = SYMBOLS.get(currency, f"{currency} ")
    number = (
        "(abs(datum.value) < 1 ? format(datum.value, '~g') "
        ": replace(format(datum.value, '~s'), 'G', 'B'))"
    )
    return f"'{symbol}' + {number}"


def day_axis() -> alt.X:
    """Days (`day`, ISO 8601) from left to right; a column stands on its day."""
    axis = alt.Axis(grid=False, ticks=False, format="%-d %b", labelPadding=6, **_SPARSE)
    return alt.X("utcyearmonthdate(day):O", title=None, axis=axis)


def exact(value: Any, unit: str) -> str:
    """What is said of a point: its value in full."""
    return "not known" if value is None else f"{exact_text(value)} {unit}".strip()


def finished(chart: Any, *, width: int | str = "container", height: int = HEIGHT) -> dict[str, Any]:
    """The specification. A ``width`` in pixels is for what is no page: a PDF, a message."""
    sized = chart.properties(width=width, height=height, padding=4)
    spec: dict[str, Any] = sized.configure_view(stroke=None).to_dict()
    return spec
