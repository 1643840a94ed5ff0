"""A storm of which the guard is told late: whoever sends it may be minutes behind."""

from __future__ import annotations

from tests.support.ledger_rows import NOON
from tests.support.storm_watch import Watch, failed, minute, told


def test_a_storm_that_is_told_of_late_and_in_parts_is_one():
    watch = Watch()
    for at in range(10):
        watch.entry(failed(20, at), now=minute(at + 15))
    assert told(watch.tick(minute(27))) == [("retry_storm", "resolved")]
    assert [alert.transition for alert in watch.published] == ["opened", "escalated", "resolved"]


def test_a_storm_of_which_more_comes_after_it_was_over_is_the_same_one():
    watch = Watch()
    watch.entry(failed(20, 0))
    watch.tick(minute(5))
    watch.entry(failed(20, 2), now=minute(6))
    watch.tick(minute(10))
    transitions = [alert.transition for alert in watch.published]
    assert transitions == ["opened", "resolved", "restated", "resolved"]
    assert {alert.period for alert in watch.published} == {NOON.isoformat()}
