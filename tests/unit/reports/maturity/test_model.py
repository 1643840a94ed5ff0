"""Levels by thresholds, and the table in the documentation."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from reports.figures.figure import Figure
from reports.maturity.criteria import CRITERIA, LAYERS
from reports.maturity.measure import SOURCES
from reports.maturity.model import TOP, Criterion, standing
from reports.maturity.steps import STEPS

PAGE = (Path(__file__).parents[4] / "docs" / "maturity.md").read_text("utf-8")


def criterion(*needs: str | None, name: str = "one", at_most: bool = False) -> Criterion:
    one, two, three = (None if need is None else Decimal(need) for need in needs)
    return Criterion(name, "routing", "", "share", (one, two, three), "", "", at_most=at_most)


def figure(name: str, value: str | None) -> Figure:
    return Figure(name, "", "share", None if value is None else Decimal(value), "", "", "")


@pytest.mark.parametrize(
    ("value", "level"),
    [(None, 0), ("0", 0), ("0.1", 1), ("0.49", 1), ("0.5", 2), ("0.9", 3), ("1", 3)],
)
def test_a_level_takes_its_threshold_and_those_below(value, level):
    known = None if value is None else Decimal(value)
    assert criterion("0.1", "0.5", "0.9").level(known) == level


def test_what_no_level_asks_for_holds_nothing_back():
    one = criterion(None, None, "1")
    assert [one.level(value) for value in (None, Decimal(0), Decimal(1))] == [2, 2, 3]
    assert one.highest == 3
    assert criterion(None, "1", None).highest == 2


def test_less_is_better_where_a_threshold_is_a_limit():
    one = criterion(None, "0.15", "0.05", at_most=True)
    assert [one.level(Decimal(value)) for value in ("0.2", "0.15", "0.05", "0")] == [1, 2, 3, 3]
    assert one.level(None) == 1


def test_a_layer_is_at_its_lowest_evidence_and_says_what_holds_it():
    criteria = (criterion("0.1", "0.5", "0.9", name="a"), criterion(None, "1", "2", name="b"))
    found = standing("routing", criteria, {"a": figure("a", "0.95"), "b": figure("b", "0")})
    assert found.level == 1
    assert [one.criterion.name for one in found.holding] == ["b"]
    found = standing("routing", criteria, {"a": figure("a", "0.95"), "b": figure("b", "2")})
    assert (found.level, found.holding) == (TOP, ())


def test_every_layer_has_evidence_for_every_level_and_a_source_for_each():
    for layer in LAYERS:
        own = [one for one in CRITERIA if one.layer == layer]
        for level in range(1, TOP + 1):
            assert any(one.needs[level - 1] is not None for one in own)
    assert {one.source for one in CRITERIA} == SOURCES.keys()
    assert len({one.name for one in CRITERIA}) == len(CRITERIA)


def test_steps_need_steps_and_criteria_that_there_are():
    names = [step.name for step in STEPS]
    known = {one.name: one for one in CRITERIA}
    assert len(set(names)) == len(names)
    for step in STEPS:
        assert set(step.after) <= set(names[: names.index(step.name)]), "no circles"
        assert all(known[name].layer == step.layer for name in step.criteria)
    assert {name for step in STEPS for name in step.criteria} == known.keys()
    assert len(STEPS) == 17
    assert "Seventeen steps" in PAGE


def test_the_documentation_has_the_thresholds_of_the_program():
    rows = re.findall(r"^\| (\w+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)[1:]
    expected = [
        (one.layer, one.title, *(_text(one, need) for need in one.needs)) for one in CRITERIA
    ]
    assert rows == expected


def _text(one: Criterion, need: Decimal | None) -> str:
    if need is None:
        return "–"
    number = f"{(need * 100).normalize():f} %" if one.kind == "share" else str(need)
    return f"≤ {number}" if one.at_most else number
