"""Context bloat: far above the norm of the use case, and what that costs."""

from __future__ import annotations

import random
from decimal import Decimal

from streams.detectors.bloat import Bloat
from streams.detectors.settings_file import BloatRule
from tests.support.detectors import entry, fed, later, minute, row, states

RULE = BloatRule()
USUAL, CALLS = 2_000, 60


def calls(at, tokens=USUAL, count=CALLS, **changes):
    """Calls with so many input tokens each, a tenth of it output."""
    fields = {
        "application": "desk",
        "use_case": "answering",
        "input_tokens": tokens * count,
        "output_tokens": USUAL // 10 * count,
        "cost": Decimal(count) / 100,
    }
    return row(at, count, **(fields | changes))


def history(hours=48, tokens=USUAL, **changes):
    """Hours with calls before noon, the newest one ending there."""
    return [calls(-60 * hour, tokens, **changes) for hour in range(1, hours + 1)]


def knowing(*rows, rule=RULE):
    detector = Bloat(rule)
    assert fed(detector, *(rows or history()), now=-1) == []
    return detector


def test_three_times_the_norm_is_bloat():
    (alert,) = fed(knowing(), calls(30, 3 * USUAL))
    assert (alert.rule, alert.transition, alert.severity) == ("context_bloat", "opened", "warning")
    assert alert.scope == {"team": "search", "application": "desk", "use_case": "answering"}
    assert alert.period == minute(30).isoformat()
    assert alert.title == (
        "Context of answering of team search is 3.0 times its norm: 6,000 input tokens a call, "
        "since 12:30 UTC"
    )


def test_just_under_it_is_not():
    assert fed(knowing(), calls(30, 3 * USUAL - 1)) == []


def test_it_names_the_saving_and_how_it_is_reckoned():
    (alert,) = fed(knowing(), calls(30, 4 * USUAL))
    # Of 8,000 + 5 x 200 weighted tokens 6,000 are too many: two thirds of 60 cents, 4 x an hour.
    assert (alert.value, alert.unit) == (Decimal("1.6"), "USD an hour")
    assert "About $1.60 an hour can be saved. Estimate: the cost of these minutes ($0.60)" in (
        alert.detail
    )
    assert "Input to output is 40.0 to 1 now, 10.0 to 1 then." in alert.detail
    assert "2,000 were usual" in alert.detail


def test_without_a_known_cost_it_is_told_in_tokens():
    (alert,) = fed(knowing(), calls(30, 4 * USUAL, cost=None))
    assert (alert.value, alert.limit) == (8000, 2000)
    assert alert.unit == "input tokens a call"
    assert "saved" not in alert.detail


def test_too_few_calls_say_nothing():
    assert fed(knowing(), calls(30, 9 * USUAL, RULE.min_calls - 1)) == []
    assert len(fed(knowing(), calls(30, 9 * USUAL, RULE.min_calls))) == 1


def test_little_input_is_never_bloat():
    small = history(tokens=100)
    assert fed(knowing(*small), calls(30, RULE.min_tokens - 1)) == []
    assert len(fed(knowing(*small), calls(30, RULE.min_tokens))) == 1


def test_a_norm_needs_24_hours_with_calls():
    assert fed(knowing(*history(23)), calls(30, 9 * USUAL)) == []
    assert len(fed(knowing(*history(24)), calls(30, 9 * USUAL))) == 1


def test_the_window_is_a_quarter_of_an_hour():
    few = RULE.min_calls // 2
    rows = calls(30, 9 * USUAL, few), calls(44, 9 * USUAL, few)
    assert len(fed(knowing(), *rows)) == 1
    rows = calls(30, 9 * USUAL, few), calls(45, 9 * USUAL, few)
    assert fed(knowing(), *rows) == []


def test_bloat_shows_when_the_usual_calls_have_left_the_window():
    detector = knowing()
    assert fed(detector, calls(30, USUAL, 300), calls(40, 4 * USUAL, 60)) == []
    assert states(later(detector, 44)) == []
    (alert,) = later(detector, 45)
    assert alert.period == minute(45).isoformat()


def test_the_calls_of_other_use_cases_are_not_its_norm():
    assert fed(knowing(), calls(30, 9 * USUAL, use_case="summaries")) == []


def test_a_nightly_job_with_large_contexts_raises_nothing():
    """A sixth of the hours carries ten times as much, day after day."""
    rows = [
        calls(-60 * hour, 10 * USUAL if hour % 24 < 4 else USUAL) for hour in range(1, 24 * 7 + 1)
    ]
    assert fed(knowing(*rows), calls(30, 10 * USUAL)) == []
    assert len(fed(knowing(*rows), calls(30, 10 * USUAL + 1))) == 1


def test_bloat_does_not_become_its_own_norm():
    """Of the newest two days more than a half are bloated in the end."""
    rule = RULE.model_copy(update={"baseline_days": 2})
    detector = knowing(*history(48), rule=rule)
    alerts = []
    for at in range(0, 26 * 60, 20):
        alerts += fed(detector, calls(at, 5 * USUAL))
    assert len(alerts) == 26 * 3
    assert {alert.transition for alert in alerts} == {"opened"}
    assert len({alert.alert_id for alert in alerts}) == 1


def test_it_goes_on_while_it_goes_on_and_ends_when_it_ends():
    detector = knowing()
    names, ends = set(), 0
    for at in range(0, 300, 5):
        alerts = fed(detector, calls(at, 5 * USUAL if at < 200 else USUAL))
        names |= {alert.alert_id for alert in alerts}
        ends += sum(alert.transition == "resolved" for alert in alerts)
    assert (len(names), ends) == (1, 1)


def test_the_end_says_so():
    detector = knowing()
    fed(detector, calls(0, 5 * USUAL))
    (over,) = later(detector, 40)
    assert over.transition == "resolved"
    assert over.title == "Context of answering of team search is no longer far above its norm"


def test_shadow_calls_do_not_count():
    assert fed(knowing(), calls(30, 9 * USUAL, is_shadow=True)) == []
    (alone,) = fed(knowing(), calls(30, 4 * USUAL))
    (beside,) = fed(knowing(), calls(30, 4 * USUAL), calls(30, 40 * USUAL, is_shadow=True))
    assert (alone.value, alone.detail) == (beside.value, beside.detail)


def test_voids_take_back_input_and_calls():
    detector = knowing()
    large = calls(30, 9 * USUAL)
    voided = {
        k: -v if isinstance(v, int | Decimal) and k != "partition" else v for k, v in large.items()
    }
    voided |= {"is_retry": False, "is_shadow": False}
    assert fed(detector, large, calls(31), voided) == []


def test_the_order_of_entries_does_not_matter():
    rows = [*history(), *(calls(at, 5 * USUAL, 10) for at in range(40))]
    expected = {(a.alert_id, a.detail) for a in fed(Bloat(RULE), *rows)}
    assert expected
    rng = random.Random(5)
    for _ in range(3):
        rng.shuffle(rows)
        detector = Bloat(RULE)
        for start in range(0, len(rows), 11):
            detector.apply(entry(*rows[start : start + 11]))
        assert {(a.alert_id, a.detail) for a in later(detector, 39)} == expected


def test_a_restart_keeps_the_name_and_the_norm():
    rows = [*history(24 * 7), *(calls(at, 5 * USUAL) for at in range(0, 2000, 5))]
    first, second = Bloat(RULE), Bloat(RULE)
    (opened,) = fed(first, *rows[: 24 * 7 + 1])
    second.remember(opened)
    (again,) = fed(second, *rows)
    assert again.alert_id == opened.alert_id
    assert "2,000 were usual" in again.detail


def test_names_of_any_length_fit_into_a_title():
    odd = {"team": "t" * 400, "application": None, "use_case": "u" * 400}
    (alert,) = fed(knowing(*history(**odd)), calls(30, 9 * USUAL, **odd))
    assert len(alert.title) <= 150
    assert "18,000 input tokens a call, since 12:30 UTC" in alert.title
