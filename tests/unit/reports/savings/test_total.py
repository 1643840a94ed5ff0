"""The total: kinds taken off one after the other, whatever the calls are."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from reports.routing.figures import EXACT, Pairs, Span, total
from reports.routing.ratio import Share
from reports.routing.statistics import Differences
from reports.savings.asked import Asked
from reports.savings.found import Found
from reports.savings.model import Savings, Terms
from reports.savings.read import Group, Growth, Waste
from reports.savings.route import Key, Routes, Way, ways_of_pairs
from reports.savings.savings import KINDS

ASKED = Asked(Span(date(2026, 11, 1), date(2026, 11, 30)), Terms())
CHAT: Key = ("chat", "frontier", None, None)
money = st.integers(0, 10**15).map(lambda pico: Decimal(pico).scaleb(-12))
share = st.integers(-200, 1000).map(lambda part: Decimal(part) / 1000)


def group(
    cost: Decimal,
    duplicates: Decimal = Decimal(0),
    prefixes: Decimal = Decimal(0),
    *,
    use_case: str = "chat",
    model: str = "large",
    failed: bool = False,
    retry: bool = False,
) -> Group:
    left = EXACT.subtract(EXACT.subtract(cost, duplicates), prefixes)
    return Group(
        use_case=use_case,
        tier="frontier",
        provider="own",
        model=model,
        is_failed=failed,
        is_retry=retry,
        calls=10,
        unknown=0,
        cost=cost,
        hashed=10,
        hashed_cost=cost,
        prefixed_cost=cost,
        duplicates=1,
        unknown_duplicates=0,
        duplicate_saved=duplicates,
        prefixed=5,
        repeats=4,
        prefix_tokens=4000,
        unrated_tokens=0,
        prefix_saved=prefixes,
        next_prefix_saved=prefixes,
        cost_left=left,
    )


@st.composite
def groups(draw: st.DrawFn) -> list[Group]:
    found = []
    for _ in range(draw(st.integers(1, 5))):
        cost = draw(money)
        duplicates = EXACT.multiply(cost, Decimal(draw(st.integers(0, 10))) / 20)
        prefixes = EXACT.multiply(cost, Decimal(draw(st.integers(0, 10))) / 20)
        use_case = draw(st.sampled_from(["chat", "code"]))
        failed, retry = draw(st.booleans()), draw(st.booleans())
        found.append(
            group(cost, duplicates, prefixes, use_case=use_case, failed=failed, retry=retry)
        )
    return found


def way(low: Decimal, high: Decimal, verdict: str = "holds", to: str = "cheap") -> Way:
    return Way(to, Share(low, high), verdict, None)  # type: ignore[arg-type]  # a literal


def found_of(calls: list[Group], ways: dict[Key, list[Way]]) -> Found:
    nothing = Decimal(0)
    waste = Waste(10, total(one.cost for one in calls), 1, 1, 2, nothing, nothing, nothing)
    growth = Growth(0, 0, 0, None, 0, 0, 0, nothing)
    return Found(ASKED, calls, calls, Routes(ways), waste, growth)


def saved(found: Found) -> Savings:
    kinds = tuple(kind(found) for kind in KINDS)
    return Savings(ASKED.span, 10, found.cost, kinds, None)


@given(groups(), share, share)
def test_no_more_is_saved_than_the_calls_cost(calls, one, other):
    found = found_of(calls, {CHAT: [way(min(one, other), max(one, other))]})
    added = [kind.added for kind in saved(found).kinds if kind.added is not None]
    cost = total(one.cost for one in calls)
    nearly = cost + Decimal("1e-11")  # routing rounds each group to the twelve decimals of money
    assert Decimal(0) <= total(one.low for one in added) <= nearly
    assert Decimal(0) <= total(one.high for one in added) <= nearly


@given(groups())
def test_routing_counts_only_what_is_left(calls):
    half = Decimal("0.5")
    routing = saved(found_of(calls, {CHAT: [way(half, half)]})).of("routing")
    chats = [one for one in calls if one.use_case == "chat"]
    assert routing.alone.high >= routing.added.high
    expected = total(EXACT.multiply(one.cost_left, half) for one in chats)
    assert abs(routing.added.high - expected) <= Decimal("1e-12") * len(chats)


def test_a_failed_call_that_was_routed_costs_less_to_spare():
    calls = [group(Decimal(10), failed=True), group(Decimal(4), failed=True, retry=True)]
    quarter = Decimal("0.25")
    retries = saved(found_of(calls, {CHAT: [way(quarter, quarter)]})).of("retries")
    assert (retries.added.low, retries.added.high) == (Decimal(3), Decimal("10.5"))


def test_a_dearer_tier_and_a_worse_one_are_not_taken():
    dearer = way(Decimal("-0.2"), Decimal("-0.1"))
    worse = way(Decimal("0.8"), Decimal("0.9"), "worse")
    routing = saved(found_of([group(Decimal(10))], {CHAT: [dearer, worse]})).of("routing")
    assert (routing.alone.low, routing.alone.high, routing.calls) == (0, 0, 0)


def test_the_cautious_case_takes_what_is_shown_to_hold_and_the_hopeful_one_the_cheapest():
    sure = way(Decimal("0.4"), Decimal("0.5"))
    bold = way(Decimal("0.8"), Decimal("0.9"), "open")
    routing = saved(found_of([group(Decimal(10))], {CHAT: [sure, bold]})).of("routing")
    assert (routing.alone.low, routing.alone.high) == (Decimal(4), Decimal(9))


def test_pairs_come_before_a_model_that_is_only_named():
    named: Key = ("chat", "frontier", "own", "large")
    ways = {CHAT: [way(Decimal("0.1"), Decimal("0.1"))], named: [way(Decimal(1), Decimal(1))]}
    calls = [group(Decimal(10)), group(Decimal(10), use_case="code")]
    routing = saved(found_of(calls, ways)).of("routing")
    assert routing.alone.high == Decimal(1)
    assert [part.calls for part in routing.parts] == [10]
    assert "10 calls of $10.00" in routing.not_estimated[0]


def test_a_tier_that_only_shadows_are_on_is_not_missing():
    pairs = [Pairs("chat", "frontier", "cheap", 3, 3, Decimal(3), Decimal(1), Differences(), None)]
    assert ways_of_pairs(pairs, Decimal("0.05")) == {}
    routes = Routes({}, pairs)
    assert routes.targets == {"cheap"}


def test_what_carries_no_hashes_is_not_estimated():
    bare = group(Decimal(10))
    none = {"hashed": 0, "prefixed": 0, "duplicates": 0, "repeats": 0, "prefix_tokens": 0}
    calls = [Group(**{**{name: getattr(bare, name) for name in bare.__slots__}, **none})]
    found = saved(found_of(calls, {}))
    assert found.of("duplicates").alone is None
    assert found.of("prefixes").alone is None
    assert found.of("routing").alone is None
    assert "no prompt_hash" in found.of("duplicates").not_estimated[0]
