from __future__ import annotations

import struct
from decimal import Decimal

import pytest

from sinks.chart import HEIGHT, WIDTH, has_trend, trend_png, trend_text
from tests.support.alerts import an_alert


def test_a_chart_is_a_small_picture_with_the_trend_and_its_limit() -> None:
    alert = an_alert(trend=("1", "4.5", "8.1"))
    picture = trend_png(alert)
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert 2 * WIDTH <= width <= 2 * (WIDTH + 80)
    assert 2 * HEIGHT <= height <= 2 * (HEIGHT + 40)
    assert len(picture) < 200_000
    without = trend_png(alert.model_copy(update={"limit": None}))
    assert without != picture


@pytest.mark.parametrize("unit", ["USD", "calls", "<b>&\"' \n{}" * 20])
def test_every_figure_can_be_drawn(unit: str) -> None:
    trend = (Decimal("-1e26"), Decimal("1e-12"), Decimal(0), Decimal("1e26"))
    alert = an_alert(trend=trend, unit=unit, limit=Decimal("1e-12"))
    assert trend_png(alert).startswith(b"\x89PNG")


def test_one_point_is_no_trend() -> None:
    alert = an_alert(trend=("1",))
    assert not has_trend(alert)
    with pytest.raises(ValueError, match="at least two"):
        trend_png(alert)


def test_a_chart_has_words_for_those_who_do_not_see_it() -> None:
    alert = an_alert(trend=("1", "8.1"))
    assert trend_text(alert) == "from $1.00 to $8.10, limit $10"
