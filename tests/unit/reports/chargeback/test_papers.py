"""Statements on paper: names of files, what is summed up, and what nobody else may see."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from reports.chargeback.boundaries import Asof
from reports.chargeback.document import Paper, file_names
from reports.chargeback.lines import Line
from reports.chargeback.pdf_file import MOST_LINES, document, statement_pdf
from reports.chargeback.rules import Rules, Shared
from reports.chargeback.statement import statements
from tests.support.pdf_pages import page_texts

NOVEMBER = date(2026, 11, 1)


def line(cost: str | None, department: str | None = "Sales", **changes: object) -> Line:
    fields: dict[str, object] = {
        "month": NOVEMBER,
        "department": department,
        "team": "shop",
        "project": None,
        "use_case": None,
        "provider": "own",
        "model": "unit",
        "calls": 1,
        "tokens": 10,
        "cost": None if cost is None else Decimal(cost),
        "unpriced": int(cost is None),
    }
    return Line(**(fields | changes))  # type: ignore[arg-type]  # by name, as a test says them


def paper(*lines: Line, rules: Rules | None = None) -> Paper:
    rules = rules or Rules()
    return Paper(statements(lines, rules)[0], Asof(NOVEMBER, {}), rules)


def test_departments_whose_names_come_to_the_same_have_files_of_their_own():
    found = statements([line("1", name) for name in ("R&D", "R and D", "東京", None)], Rules())
    assert file_names(found, "2026-11") == [
        "statement-2026-11-r-and-d",
        "statement-2026-11-r-and-d~2",
        "statement-2026-11-department",
        "statement-2026-11-no-department",
    ]


def test_what_is_shown_adds_up_to_the_total_that_is_shown():
    rules = Rules(markup=Decimal(10))
    shown = document(paper(line("0.00005"), line("0.00005", restated="repricing"), rules=rules))
    *parts, (_, total) = shown["summary"]
    assert sum(Decimal(figure) for _, figure in parts) == Decimal(total) == Decimal("0.0001")
    assert shown["exact"] == "0.00011"


def test_an_unknown_cost_is_no_number():
    shown = document(paper(line(None), line("2", model="priced")))
    assert shown["lines"][1][-2:] == ["–", "–"]
    assert "1 call has no known price and is not charged." in shown["notes"]


def test_the_smallest_lines_of_many_are_summed_up():
    many = [line(str(1 + number), use_case=f"u{number}") for number in range(MOST_LINES + 3)]
    shown = document(paper(*many))["lines"]
    assert len(shown) == MOST_LINES + 1
    assert shown[-1] == ["3 smaller lines", "", "", "", "3", "30", "6.0000", "6.00"]


def test_names_are_set_as_they_are():
    name = '#panic("x") *bold* $y$ <a> \\ _n_ [z]'
    pdf = statement_pdf(paper(line("1", name, team=name)))
    (text,) = page_texts(pdf)
    assert text.count(name) >= 3


def test_who_hands_costs_on_is_charged_the_rest():
    lines = [line("9", "IT", team="platform"), line("1", "IT"), line("3", "Sales")]
    rules = Rules(markup=Decimal(10), shared=(Shared("Platform", teams=("platform",)),))
    it, sales = statements(lines, rules)
    assert (it.usage, it.shared_cost) == (Decimal(10), Decimal("-6.75"))
    assert (it.markup, it.total) == (Decimal("0.1"), Decimal("3.35"))
    assert (sales.shared_cost, sales.total) == (Decimal("6.75"), Decimal("10.05"))


def test_costs_that_nobody_can_carry_stay_where_they_are():
    (only,) = statements(
        [line("9", None)], Rules(shared=(Shared("Nobody", unattributed=True, by="calls"),))
    )
    assert (only.department, only.shared, only.total) == (None, (), Decimal(9))
