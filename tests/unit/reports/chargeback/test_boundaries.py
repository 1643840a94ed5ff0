"""Which changes are on which statement: each exactly once, whatever was closed in which order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.chargeback.boundaries import asof, closed_since
from schemas.errors import UserError
from sinks.closings import Closing

OCTOBER, NOVEMBER, DECEMBER = (date(2026, month, 1) for month in (10, 11, 12))


def closing(month: date, number: int, position: int) -> Closing:
    at = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=position)
    return Closing(month, number, at, "ada", "", {"journal": position}, 1, None)


def test_a_month_that_is_not_closed_is_as_of_now():
    found = asof([], NOVEMBER, {"journal": 9})
    assert (found.positions, found.closing, found.restates) == ({"journal": 9}, None, {})


def test_a_closed_month_is_as_of_its_newest_closing_or_the_one_that_is_asked_for():
    made = [closing(NOVEMBER, 1, 5), closing(NOVEMBER, 2, 7)]
    assert asof(made, NOVEMBER, {"journal": 9}).positions == {"journal": 7}
    assert asof(made, NOVEMBER, {"journal": 9}, 1).positions == {"journal": 5}


def test_a_closing_that_there_is_not_is_an_error_that_names_those_that_there_are():
    with pytest.raises(UserError, match=r"--closing: 2026-11 has no closing 3; it has 1"):
        asof([closing(NOVEMBER, 1, 5)], NOVEMBER, {}, 3)


def test_the_next_month_takes_in_what_changed_since_the_closing():
    found = asof([closing(OCTOBER, 1, 5)], NOVEMBER, {"journal": 9})
    assert found.restates == {OCTOBER: {"journal": 5}}


def test_what_a_closing_took_in_is_not_taken_in_again():
    made = [closing(OCTOBER, 1, 5), closing(NOVEMBER, 1, 7)]
    found = asof(made, DECEMBER, {"journal": 9})
    assert found.restates == {OCTOBER: {"journal": 7}, NOVEMBER: {"journal": 7}}


def test_a_second_closing_takes_in_what_the_one_that_it_replaces_took_in():
    made = [closing(OCTOBER, 1, 5), closing(NOVEMBER, 1, 7), closing(NOVEMBER, 2, 8)]
    assert asof(made, NOVEMBER, {}).restates == {OCTOBER: {"journal": 5}}
    assert asof(made, NOVEMBER, {}, 1).restates == {OCTOBER: {"journal": 5}}


def test_a_month_that_is_not_closed_restates_nothing():
    assert asof([closing(NOVEMBER, 1, 7)], DECEMBER, {"journal": 9}).restates.keys() == {NOVEMBER}
    assert asof([closing(NOVEMBER, 1, 7)], OCTOBER, {"journal": 9}).restates == {}


def test_a_closing_of_another_month_is_known():
    made = [closing(OCTOBER, 1, 5), closing(NOVEMBER, 1, 7)]
    assert closed_since(made, OCTOBER) == made[1]
    assert closed_since(made, NOVEMBER) is None
    assert closed_since(made, DECEMBER) is None


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.sampled_from((OCTOBER, NOVEMBER, DECEMBER)), max_size=8), st.data())
def test_every_entry_of_the_journal_is_on_the_newest_statements_once(order, data):
    """A month is closed again only while no other was closed since, as `close` has it."""
    made: list[Closing] = []
    position = 0
    for month in order:
        if closed_since(made, month) is not None:
            continue
        position += data.draw(st.integers(1, 3))
        number = 1 + sum(one.month == month for one in made)
        made.append(closing(month, number, position))
    now = position + 2
    newest = {month: asof(made, month, {"journal": now}) for month in {one.month for one in made}}
    after = date(2027, 1, 1)
    newest[after] = asof(made, after, {"journal": now})
    for month in {one.month for one in made}:
        seen = [0] * (now + 1)
        for of_month, found in newest.items():
            upto = found.positions["journal"]
            if of_month == month:
                since = -1
            elif month in found.restates:
                since = found.restates[month]["journal"]
            else:
                continue
            for entry in range(since + 1, upto + 1):
                seen[entry] += 1
        assert seen == [1] * (now + 1)
