"""What full routing would have saved: exact, and only where enough pairs say so."""

from __future__ import annotations

from decimal import Decimal

from reports.routing.estimate import full_routing, over_use_cases
from reports.routing.figures import Pairs, Routed
from reports.routing.statistics import Differences


def pairs(
    cost: str, shadow: str, to: str = "cheap", compared: int = 30, use_case: str | None = "chat"
) -> Pairs:
    quality = Differences.of(compared, 0.1, 0.2)
    return Pairs(
        use_case, "frontier", to, compared, compared, Decimal(cost), Decimal(shadow), quality
    )


def routed(cost: str, tier: str | None = "frontier", use_case: str | None = "chat") -> Routed:
    return Routed(use_case, tier, "a reason", 10, 0, Decimal(cost))


def test_the_saving_is_the_cost_times_what_the_pairs_saved():
    full = full_routing([pairs("4", "1")], [routed("100"), routed("20"), routed("50", "cheap")])
    assert (full.saving, full.cost) == (Decimal(90), Decimal(120))
    assert [(one.calls, one.to) for one in full.groups] == [(20, "cheap")]
    assert full.not_estimated == ()


def test_a_saving_is_rounded_to_twelve_decimals_and_no_float():
    full = full_routing([pairs("3", "1")], [routed("12345678901234567890.000000000001")])
    # Two thirds of it: 8230452600823045260 and two thirds of a pico-dollar.
    assert full.saving == Decimal("8230452600823045260.000000000001")


def test_a_dearer_shadow_is_a_negative_saving():
    assert full_routing([pairs("2", "3")], [routed("10")]).saving == Decimal(-5)


def test_of_several_tiers_the_cheapest_counts():
    tried = [pairs("4", "2", "balanced"), pairs("4", "1")]
    full = full_routing(tried, [routed("8")])
    assert (full.saving, full.groups[0].to) == (Decimal(6), "cheap")


def test_what_has_too_few_pairs_is_not_estimated():
    few = pairs("4", "1", compared=29)
    full = full_routing([few], [routed("100"), routed("7", use_case="code")])
    assert full.saving is None
    assert [one.cost for one in full.not_estimated] == [Decimal(100), Decimal(7)]


def test_pairs_that_cost_nothing_say_nothing():
    assert full_routing([pairs("0", "0")], [routed("100")]).saving is None


def test_use_cases_are_added_up_where_there_are_several():
    both = [pairs("4", "1"), pairs("6", "2", use_case=None)]
    (whole,) = over_use_cases(both)
    assert (whole.compared, whole.call_cost, whole.shadow_cost) == (60, Decimal(10), Decimal(3))
    assert whole.quality.count == 60
    assert over_use_cases(both[:1]) == []
