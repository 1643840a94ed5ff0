"""The roadmap: what saves most first, each step after what it needs."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from reports.maturity.roadmap import roadmap
from reports.maturity.steps import STEPS, Step
from reports.savings.model import Kind, Range

NAMES = [step.name for step in STEPS]
KINDS: tuple[Kind, ...] = ("duplicates", "prefixes", "routing", "retries", "context")


def usd(low: int, high: int | None = None) -> Range:
    return Range(Decimal(low), Decimal(low if high is None else high))


def test_what_opens_the_way_to_a_large_saving_comes_before_a_small_one():
    steps = (
        Step("small", "prompts", "", (), "", saves="context"),
        Step("first", "routing", "", (), ""),
        Step("large", "routing", "", (), "", saves="routing", after=("first",)),
        Step("other", "vendors", "", (), ""),
    )
    planned = roadmap(steps, (), {"routing": usd(100, 300), "context": usd(1)})
    assert [(one.step.name, one.first, one.last) for one in planned] == [
        ("first", 1, 3),
        ("large", 4, 6),
        ("small", 7, 9),
        ("other", 10, 12),
    ]
    assert [one.saving for one in planned] == [None, usd(100, 300), usd(1), None]


def test_what_is_done_is_left_out_and_holds_nothing_up():
    planned = roadmap(STEPS, {"tiers", "shadows"}, {"routing": usd(50)})
    assert planned[0].step.name == "route"
    assert (planned[0].first, planned[0].saving) == (1, usd(50))
    assert not {"tiers", "shadows"} & {one.step.name for one in planned}
    assert roadmap(STEPS, NAMES, {}) == []


@given(
    done=st.sets(st.sampled_from(NAMES)),
    lows=st.dictionaries(st.sampled_from(KINDS), st.integers(-5, 1000)),
)
@example(done={"price"}, lows={"duplicates": -1})
def test_every_step_left_is_planned_once_within_the_year_and_after_what_it_needs(done, lows):
    planned = roadmap(STEPS, done, {kind: usd(low) for kind, low in lows.items()})
    place = {one.step.name: index for index, one in enumerate(planned)}
    first = {one.step.name: one.first for one in planned}
    assert sorted(place) == sorted(set(NAMES) - done)
    assert all(1 <= one.first < one.last <= 12 for one in planned)
    for one in planned:
        for name in set(one.step.after) - done:
            assert first[name] <= one.first
            assert first[name] < one.first or one.first == 10
            assert place[name] < place[one.step.name]
