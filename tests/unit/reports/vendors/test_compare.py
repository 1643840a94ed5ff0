"""Usage elsewhere: exact where every rate is known, and no figure where one is not."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from reports.vendors.compare import Choice, Compared, Quote, Target, TokenRange, compare
from reports.vendors.usage import Cuts, Usage
from schemas.tokens import BUCKET_NAMES

THERE = Target("there", "m")
AS_THEY_ARE = TokenRange(Fraction(1), Fraction(1))


def used(tokens: int = 1_000_000, calls: int = 1, cost: str = "1", minute: int = 0) -> Usage:
    counts = dict.fromkeys(BUCKET_NAMES, 0) | {"input_tokens": tokens}
    return Usage(
        "here", "m", None, None, minute, None, calls, tuple(counts.values()), Decimal(cost)
    )


def a_dollar_a_million(usage: Usage, target: Target) -> Quote:
    return Quote(Fraction(sum(usage.tokens) * 10**6), price_ref=str(target))


def compared(pricer=a_dollar_a_million, tokens=AS_THEY_ARE, usage=None) -> Compared:
    (found,) = compare(usage or [used()], [Choice("here", "m", THERE, tokens)], pricer)
    return found


def test_the_same_tokens_at_another_price_are_one_amount():
    found = compared(usage=[used(cost="3"), used(tokens=500_000, cost="1.5", minute=9)])
    assert (found.cost, found.low, found.high) == (Decimal("4.5"), Decimal("1.5"), Decimal("1.5"))
    assert found.differences == (Decimal(-3), Decimal(-3))
    assert found.prices == ("there/m",)


def test_other_tokens_make_a_range_and_calls_stay_as_they_are():
    def with_calls(usage, target):
        return Quote(Fraction(10**12), Fraction(usage.calls * 10**11))

    found = compared(with_calls, TokenRange(Fraction(4, 5), Fraction(5, 4)), [used(calls=2)])
    assert (found.low, found.high) == (Decimal("1.00"), Decimal("1.45"))


def test_one_bucket_without_a_rate_makes_all_of_it_not_comparable():
    def knows_half(usage, target):
        return Quote(missing=("reasoning_tokens",)) if usage.minute else Quote(Fraction(1))

    found = compared(knows_half, usage=[used(), used(minute=1)])
    assert (found.low, found.high, found.differences) == (None, None, None)
    assert found.missing == ("reasoning_tokens",)
    assert found.by_book is None


def test_a_model_without_usage_has_no_line():
    assert compare([], [Choice("here", "m", THERE, AS_THEY_ARE)], a_dollar_a_million) == []


def test_cuts_are_in_order_and_each_is_there_once():
    assert Cuts.of([5, 1, 5], [0, 0], []) == Cuts((1, 5), (0,), ())


FACTORS = st.fractions(min_value=Fraction(1, 10), max_value=10, max_denominator=1000)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1), FACTORS, FACTORS)
def test_the_range_is_in_order_and_holds_what_the_same_tokens_cost(tokens, one, other):
    span = TokenRange(min(one, other, Fraction(1)), max(one, other, Fraction(1)))
    usage = [used(tokens=count) for count in tokens]
    found = compared(tokens=span, usage=usage)
    exact = compared(usage=usage)
    assert found.low is not None
    assert found.high is not None
    assert exact.low is not None
    assert found.low <= exact.low <= found.high
