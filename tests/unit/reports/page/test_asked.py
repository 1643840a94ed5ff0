"""URLs: what they ask for, and that navigation keeps it."""

from __future__ import annotations

from datetime import date
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from reports.figures.lens import DIMENSIONS
from reports.figures.period import Period
from reports.page.asked import Asked
from reports.viewer import EVERYBODY
from schemas.errors import UserError

TODAY = date(2026, 11, 28)
NAMES = st.text(
    st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20
).filter(lambda name: name.strip() and name.isprintable() and name != "(none)")


def read(url: str) -> Asked:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return Asked.read(MultiDict(pairs), TODAY)


@given(
    st.dictionaries(
        st.sampled_from(DIMENSIONS), st.lists(NAMES, min_size=1, max_size=3, unique=True)
    ),
    st.booleans(),
    st.sampled_from(["USD", "HKD"]),
)
def test_a_url_asks_for_what_it_was_made_from(scope, dated, currency):
    period = Period(date(2026, 11, 3), date(2026, 11, 9)) if dated else None
    ordered = {name: tuple(scope[name]) for name in DIMENSIONS if name in scope}
    asked = Asked(TODAY, period, ordered, currency)
    assert read(asked.url("/waste")) == asked


def test_without_days_it_is_this_month_so_far():
    lens = read("/").lens(EVERYBODY)
    assert lens.period == Period(date(2026, 11, 1), TODAY)


def test_an_open_field_of_the_form_is_no_filter():
    assert read("/?from=&to=&team=&currency=") == Asked(TODAY)


def test_narrowing_and_widening_again_gives_the_same():
    asked = read("/?team=search&currency=HKD")
    assert asked.of("user", "ada").without("user", "ada") == asked
    assert read(asked.of("project", None).url("/")).scope["project"] == ("",)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/?from=2026-13-01", "from: '2026-13-01' is no day; write it like 2026-11-28"),
        ("/?from=2026-11-02&to=2026-11-01", "to: 2026-11-01 is before from 2026-11-02"),
        ("/?from=2026-11-02&from=2026-11-03", "give one day"),
        ("/?from=0001-01-01", "more than three years"),
        ("/?usr=ada", "usr: there is no such filter; did you mean user?"),
        ("/?currency=US$", "is no currency"),
        ("/?" + "&".join(f"team=t{n}" for n in range(51)), "at most 50 are compared"),
        ("/?team=" + "x" * 257, "is no name"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(url, words):
    with pytest.raises(UserError) as told:
        read(url)
    assert words in str(told.value)
    assert "\n" not in str(told.value)
