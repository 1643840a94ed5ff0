"""Conditions and queries: values are bound, and what a viewer must not see is never asked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from reports.figures.figure import exact_text
from reports.figures.lens import Lens
from reports.figures.period import Period
from reports.figures.query import Query
from reports.viewer import EVERYBODY, Viewer

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30))
TODAY = date(2026, 11, 28)
LEAD = Viewer.of("lead", departments=["product"], teams=["search"])


def test_names_are_bound_and_never_part_of_the_condition():
    lens = Lens(NOVEMBER, TODAY, EVERYBODY, {"team": ("' OR 1",)})
    assert "OR 1" not in lens.where()
    assert lens.parameters["of_team"] == ["' OR 1"]


def test_the_text_of_a_query_has_its_values_in_it_escaped():
    query = Lens(NOVEMBER, TODAY, EVERYBODY, {"team": ("it's \\ a",)}).query(
        "SELECT 1\n  WHERE team IN {of_team:Array(String)} AND day = {first:Date}"
    )
    assert query.text == ("SELECT 1 WHERE team IN ['it\\'s \\\\ a'] AND day = toDate('2026-11-01')")


def test_white_space_in_a_name_stays_as_it_is():
    assert Query("SELECT  {x:String},\n 'a  b'", {"x": "c  d"}).text == "SELECT 'c  d', 'a  b'"


def test_what_looks_like_a_place_in_a_value_is_no_place():
    assert Query("SELECT {x:String}", {"x": "{y:String}"}).text == "SELECT '{y:String}'"


@pytest.mark.parametrize("time", ["days", "months", ""])
@pytest.mark.parametrize("columns", [("department", "team"), ("team",), ()])
def test_every_condition_is_limited_for_a_limited_viewer(time, columns):
    condition = Lens(NOVEMBER, TODAY, LEAD).where(time=time, columns=columns)
    assert "{departments:Array(String)}" in condition
    assert "{teams:Array(String)}" in condition
    open_to_all = Lens(NOVEMBER, TODAY).where(time=time, columns=columns)
    assert "departments" not in open_to_all


def test_a_viewer_of_nothing_is_limited_too():
    assert Lens(NOVEMBER, TODAY, Viewer.of("nobody")).seen()


def test_a_view_without_a_department_gives_teams_that_are_wholly_in_it():
    lens = Lens(NOVEMBER, TODAY, EVERYBODY, {"department": ("product",), "user": ("ada",)})
    condition = lens.where(time="months", columns=("team",))
    assert "HAVING min(" in condition
    assert "of_user" not in condition


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (Decimal("1.500000000000"), "1.5"),
        (Decimal("12345678901234567890.123456789012"), "12345678901234567890.123456789012"),
        (Decimal("-0.000000000001"), "-0.000000000001"),
        (Decimal("100"), "100"),
        (Decimal("0.000"), "0"),
        (1200, "1200"),
        (date(2026, 11, 1), "2026-11-01"),
    ],
)
def test_values_are_written_in_full_to_the_last_digit(value, text):
    assert exact_text(value) == text
