"""A statement as an Excel file: a page of totals, and one of lines.

Excel counts in binary floats of about 15 digits. Its numbers are for adding up on the sheet; the
exact figure stands beside each as text.
"""

from __future__ import annotations

import io
from decimal import Decimal

import xlsxwriter
from xlsxwriter.workbook import Workbook

from reports.chargeback.document import COLUMNS, Paper, exact, rows

_COUNTS = frozenset({"calls", "tokens", "calls_without_cost"})
_USD = frozenset({"cost_usd", "markup_usd", "total_usd"})
_EXACT = "total_usd_exact"
_WIDTHS = {"department": 18, "team": 16, "project": 16, "use_case": 16, "model": 24, "reason": 30}


def statement_xlsx(paper: Paper) -> bytes:
    """The file. The same statement makes the same file."""
    out = io.BytesIO()
    # Names that begin with = are names: strings never become formulas or links.
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = xlsxwriter.Workbook(out, options)
    closing = paper.asof.closing
    if closing is not None:  # otherwise the file says when it was made
        book.set_properties({"created": closing.closed_at.replace(tzinfo=None)})
    _totals(book, paper)
    _lines(book, paper)
    book.close()
    return out.getvalue()


def _totals(book: Workbook, paper: Paper) -> None:
    statement, rules = paper.statement, paper.rules
    sheet = book.add_worksheet("Statement")
    bold = book.add_format({"bold": True})
    title = book.add_format({"bold": True, "font_size": 14})
    usd = book.add_format({"num_format": "#,##0.00####"})
    money = book.add_format({"num_format": _money(rules.decimals), "bold": True})
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 2, 22)
    sheet.write_string(0, 0, f"{paper.department}, {paper.asof.month:%B %Y}", title)
    sheet.write_string(1, 0, paper.standing)
    sheet.write_row(3, 0, ("", "USD", "USD, exact"), bold)
    figures = (
        ("Usage", statement.usage),
        ("Restated earlier months", statement.restated),
        ("Shared costs", statement.shared_cost),
        (f"Markup, {statement.percent.normalize():f} %", statement.markup),
        ("Total", statement.total),
    )
    for row, (name, figure) in enumerate(figures, 4):
        sheet.write_string(row, 0, name)
        sheet.write_number(row, 1, figure, usd)
        sheet.write_string(row, 2, exact(figure))
    row = 4 + len(figures)
    sheet.write_string(row, 0, f"Amount, {rules.currency}", bold)
    sheet.write_number(row, 1, statement.amount, money)
    sheet.write_string(row, 2, f"{statement.amount:f}")
    sheet.write_string(row + 2, 0, paper.conversion)
    if (unpriced := paper.unpriced) is not None:
        sheet.write_string(row + 3, 0, unpriced)


def _lines(book: Workbook, paper: Paper) -> None:
    sheet = book.add_worksheet("Lines")
    head = book.add_format({"bold": True, "bottom": 1})
    count = book.add_format({"num_format": "#,##0"})
    usd = book.add_format({"num_format": "#,##0.00####"})
    money = book.add_format({"num_format": _money(paper.rules.decimals)})
    columns = (*COLUMNS, _EXACT)
    for index, column in enumerate(columns):
        sheet.write_string(0, index, column, head)
        sheet.set_column(index, index, _WIDTHS.get(column, max(11, len(column) + 1)))
    number = 0
    for number, line in enumerate(rows(paper), 1):
        for index, column in enumerate(columns):
            text = line["total_usd"] if column == _EXACT else line[column]
            if column in _COUNTS and text:
                sheet.write_number(number, index, int(text), count)
            elif column in _USD and text:
                sheet.write_number(number, index, Decimal(text), usd)
            elif column in {"amount", "rate"}:
                sheet.write_number(
                    number, index, Decimal(text), money if column == "amount" else None
                )
            elif text:
                sheet.write_string(number, index, text)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(number, 1), len(columns) - 1)


def _money(decimals: int) -> str:
    return f"#,##0.{'0' * decimals}" if decimals else "#,##0"
