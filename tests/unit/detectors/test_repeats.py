"""Repeated prompts as evidence of a storm: the same alert as for attempts that say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from streams.detectors.attempts import Scope, Tally, unix_minute
from streams.detectors.repeats import Repeats
from tests.support.ledger_rows import NOON
from tests.support.storm_watch import Watch, failed, good, minute, told

BOT = Scope("search", "bot")


def looping(
    minutes: Mapping[int, int], prompt_calls: int | None = None, calls: int | None = None
) -> Repeats:
    """Calls of the bot beyond the first of their prompt, by minutes after noon; a cent each."""
    repeated = sum(minutes.values())
    first = unix_minute(NOON)
    return Repeats(
        scope=BOT,
        calls=repeated + 1 if calls is None else calls,
        minutes={first + at: Tally(n, n * 10**10, n * 100) for at, n in minutes.items()},
        prompt="abc123",
        prompt_calls=repeated + 1 if prompt_calls is None else prompt_calls,
        provider="own",
        model="unit",
    )


def test_a_client_that_sends_one_prompt_again_and_again_is_in_a_storm():
    watch = Watch()
    watch.entry(good(21))
    (alert,) = watch.observe(looping({0: 20}), now=NOON)
    assert told([alert]) == [("retry_storm", "opened")]
    assert alert.scope == {"team": "search", "application": "bot"}
    assert alert.title == "Retry storm: bot of team search sends one prompt again and again"
    assert "20 of 21 attempts (95 %)" in alert.detail
    assert "Wasted: $0.20 and 2,000 tokens." in alert.detail
    assert "One prompt (hash abc123) was sent 21 times over." in alert.detail
    assert "Find the loop" in alert.action
    (part,) = alert.contributors
    assert (part.name, part.cost) == ("own unit: repeated prompt", Decimal("0.20"))
    assert (part.calls, part.tokens) == (20, 2000)


def test_fewer_repeats_than_the_minimum_are_none():
    assert Watch().observe(looping({0: 19}), now=NOON) == []


def test_many_prompts_that_are_each_sent_a_few_times_are_none():
    assert Watch().observe(looping({0: 100}, prompt_calls=30, calls=130), now=NOON) == []


def test_calls_without_a_known_prompt_count_too():
    watch = Watch()
    watch.entry(good(60))
    assert watch.observe(looping({0: 20}), now=NOON) == []


def test_what_is_told_again_with_more_keeps_the_storm_open_and_adds_to_it():
    watch = Watch()
    watch.entry(good(1))
    for second in range(0, 300, 10):
        now = NOON + timedelta(seconds=second)
        whole, rest = divmod(second, 60)
        window = {whole: 20 + rest} if whole == 0 else {whole - 1: 70, whole: 20 + rest}
        watch.observe(looping(window), now=now)
    assert told(watch.published) == [("retry_storm", "opened"), ("retry_storm", "escalated")]
    (over,) = watch.tick(minute(8))
    assert over.contributors[0].calls == 350


def test_what_is_told_again_without_more_does_not_keep_the_storm_open():
    watch = Watch()
    watch.observe(looping({0: 20}), now=NOON)
    for second in range(120):
        assert watch.observe(looping({0: 20}), now=NOON + timedelta(seconds=second)) == []
    assert told(watch.tick(minute(2))) == [("retry_storm", "resolved")]


def test_both_kinds_of_evidence_are_one_alert_and_no_attempt_counts_twice():
    watch = Watch()
    watch.entry(failed(30), good(1))
    watch.observe(looping({0: 30}), now=NOON)
    (storm,) = watch.published
    watch.tick(minute(3))
    assert [alert.alert_id for alert in watch.published] == [storm.alert_id] * 2
    assert "30 of 31 attempts" in watch.published[-1].detail
    assert watch.published[-1].contributors[0].name == "own unit: 429"


def test_the_other_way_round_they_are_one_alert_as_well():
    watch = Watch()
    watch.observe(looping({0: 30}), now=NOON)
    assert watch.entry(failed(30), good(1)) == []
    assert len(watch.published) == 1


def test_a_storm_of_repeats_keeps_its_name_over_a_restart_that_knows_nothing_of_them():
    before = Watch()
    before.observe(looping({0: 30}), now=NOON)
    after = before.restarted(good(31), now=minute(0.5))
    assert after.tick(minute(0.5)) == []
    after.observe(looping({1: 40}), now=minute(1))
    after.tick(minute(5))
    assert told(after.published) == [("retry_storm", "opened"), ("retry_storm", "resolved")]


def test_repeats_of_a_client_whose_provider_is_down_are_no_storm():
    watch = Watch()
    teams = ("search", "b", "c")
    watch.entry(*(failed(30, team=t, application="bot" if t == "search" else t) for t in teams))
    watch.observe(looping({0: 29}), now=NOON)
    assert told(watch.published) == [("provider_outage", "opened")]


def test_repeats_of_long_ago_and_of_a_wrong_clock_are_passed_over():
    watch = Watch()
    watch.entry(good(1, 300))
    assert watch.observe(looping({0: 30}), now=minute(300)) == []
    assert watch.observe(looping({400: 30}), now=minute(300)) == []


def test_the_window_that_repeats_are_asked_for_ends_with_the_present_minute():
    assert Watch().storms.watched(minute(5.5)) == (minute(4), minute(5))
