"""A small chart of an alert's trend: its figure over time, and its limit as a line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from schemas.alerts import Alert
from schemas.errors import SpendstreamError
from sinks.amounts import amount_text, is_money, limit_text, number_text

WIDTH, HEIGHT = 480, 160
"""Size of the picture without its margins, in pixels; it is drawn twice as fine."""

_FILL, _LINE, _LIMIT, _TEXT, _GRID = "#dbeafe", "#2563eb", "#dc2626", "#57606a", "#eaeef2"
_TICK = (
    "abs(datum.value) < 1 ? format(datum.value, '~g') "
    ": replace(format(datum.value, '~s'), 'G', 'B')"
)
_LABEL_LIMIT = 40  # characters; the rest of a long unit would be cut off by the margin
_TEXT_LIMIT = 500  # characters
_FEWEST = 2  # one point is no trend
_DRAWING_SECONDS = 60.0  # on a busy machine; two are usual


class NoChart(SpendstreamError):
    """The chart could not be drawn."""


def has_trend(alert: Alert) -> bool:
    """True if there is something to draw."""
    return len(alert.trend) >= _FEWEST


def trend_text(alert: Alert) -> str:
    """What the chart shows, for those who do not see it."""
    first, last = alert.trend[0], alert.trend[-1]
    text = f"from {amount_text(first, alert.unit)} to {amount_text(last, alert.unit)}"
    if alert.limit is not None:
        text += f", limit {limit_text(alert.limit, alert.unit)}"
    return text[:_TEXT_LIMIT]


def trend_png(alert: Alert) -> bytes:
    """The chart as a PNG. Takes seconds, and holds up every thread: see `drawn`.

    ValueError where `has_trend` is false.
    """
    if not has_trend(alert):
        raise ValueError("a trend has at least two points")
    import altair as alt  # heavy, and not needed where nothing is drawn
    import vl_convert

    # Floats from here on: where a point is in a picture, not what somebody owes.
    points = [{"step": step, "value": float(value)} for step, value in enumerate(alert.trend)]
    x = alt.X("step:Q", axis=None, scale=alt.Scale(nice=False, zero=False))
    y = alt.Y(
        "value:Q",
        axis=alt.Axis(title=None, tickCount=3, labelExpr=_TICK, domain=False, ticks=False),
        scale=alt.Scale(zero=True, nice=True),
    )
    line = alt.Chart({"values": points}).encode(x=x, y=y)
    label = amount_text(alert.trend[-1], alert.unit)
    newest = alt.Chart({"values": [points[-1] | {"label": label[:_LABEL_LIMIT]}]})
    layers = [
        line.mark_area(color=_FILL, line=False),
        line.mark_line(color=_LINE, strokeWidth=2, strokeJoin="round"),
        newest.mark_point(color=_LINE, filled=True, size=60, opacity=1).encode(x=x, y=y),
        newest.mark_text(
            align="right", dx=-2, dy=-12, color=_LINE, fontSize=12, fontWeight="bold"
        ).encode(x=x, y=y, text="label:N"),
    ]
    if alert.limit is not None:
        money = is_money(alert.unit)
        label = limit_text(alert.limit, alert.unit) if money else number_text(alert.limit)
        bound = {"value": float(alert.limit), "label": f"limit {label}"[:_LABEL_LIMIT]}
        limit = alt.Chart({"values": [bound]}).encode(y=y)
        layers += [
            limit.mark_rule(color=_LIMIT, strokeDash=[5, 4]),
            limit.mark_text(align="left", dx=4, dy=-7, color=_LIMIT, fontSize=11).encode(
                x=alt.value(0), text="label:N"
            ),
        ]
    chart = alt.layer(*layers).properties(
        width=WIDTH, height=HEIGHT, background="#ffffff", padding=10
    )
    chart = chart.configure_view(stroke=None).configure_axis(
        gridColor=_GRID, labelColor=_TEXT, labelFontSize=11
    )
    png: bytes = vl_convert.vegalite_to_png(chart.to_dict(), scale=2)
    return png


async def drawn(alert: Alert) -> bytes:
    """`trend_png` in a process of its own, so that nothing here stands still meanwhile.

    Raises NoChart where that does not work.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sinks.chart"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_DRAWING_SECONDS):
            png, said = await process.communicate(alert.model_dump_json().encode())
    except TimeoutError:
        raise NoChart(f"it was not drawn within {_DRAWING_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines() or ["it did not say why"]
        raise NoChart(f"drawing ended with {process.returncode}: {lines[-1][:300]}")
    return png


if __name__ == "__main__":
    os.nice(10)  # whatever is metered meanwhile comes first
    sys.stdout.buffer.write(trend_png(Alert.model_validate_json(sys.stdin.buffer.read())))
