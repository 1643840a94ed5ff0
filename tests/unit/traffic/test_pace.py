from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import UserError
from streams.traffic.pace import checked_speed, due

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
LATER = FIRST + timedelta(minutes=2)


@pytest.mark.parametrize(("speed", "expected"), [(0, 50), (1, 170), (60, 52), (0.5, 290)])
def test_an_event_is_due_after_the_traces_time_over_the_speed(
    speed: float, expected: float
) -> None:
    assert due(LATER, FIRST, started=50, speed=speed) == expected


def test_an_event_without_a_time_is_due_at_once() -> None:
    assert due(None, FIRST, started=50, speed=1) == 50
    assert due(LATER, None, started=50, speed=1) == 50


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf")])
def test_a_wrong_speed_is_one_line(speed: float) -> None:
    with pytest.raises(UserError, match=f"speed is {speed:g}; 0 is as fast as possible, 1 is real"):
        checked_speed(speed)
    assert checked_speed(60) == 60
