"""Numbers of definitions: in order, one for each, in two columns."""

from __future__ import annotations

from reports.board.references import References
from reports.figures.figure import Figure


def figure(title: str, definition: str) -> Figure:
    return Figure(title, title, "count", 1, "", definition, "")


def test_a_definition_has_one_number_however_often_it_is_shown():
    refs = References()
    spend, users = figure("spend", "What it cost."), figure("users", "Who called.")
    assert refs.to(spend, users) == "1, 2"
    assert refs.to(users, spend, figure("again", "What it cost.")) == "2, 1"
    assert refs.number("Savings", "What would be saved.") == "3"
    assert [one["title"] for column in refs.columns() for one in column] == [
        "Spend",
        "Users",
        "Savings",
    ]


def test_the_columns_of_definitions_are_about_as_long():
    refs = References()
    for number in range(9):
        refs.number(f"Title {number}", f"{number} " + "words " * (60 if number == 0 else 10))
    left, right = refs.columns()
    assert [one["ref"] for one in left + right] == [str(number) for number in range(1, 10)]
    assert 0 < len(left) < len(right)


def test_nothing_shown_is_nothing_to_define():
    assert References().columns() == [[], []]
