"""The samples of every format: recognised by their header, read to the last digit."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.errors import InvalidEvent, UserError
from streams.budgets.exchange import Rates
from streams.imports.source import Passed
from streams.invoices.convert import Converter
from streams.invoices.known_formats import FORMATS
from streams.invoices.line import Identities, Line
from streams.invoices.rates import GivenRates, parse_rates
from streams.invoices.sheet import Sheet
from streams.invoices.words import Models

DATA = Path(__file__).parents[2] / "data" / "invoices"
ALL = list(FORMATS.values())
EUR = GivenRates({"EUR": Decimal("0.92")})
OURS = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4o-2024-08-06",
    "claude-haiku-4-5-20251001",
    "amazon.nova-lite-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
]
NOV = date(2026, 11, 1)


def read(
    name: str | Path, rates: GivenRates = EUR, ours: Iterable[str] = OURS
) -> tuple[Sheet, list[Line], list[str]]:
    sheet = Sheet(DATA / name, ALL)
    converter = Converter(sheet.format, Identities("p", sheet.format.name), Models(ours), rates)
    lines, others = [], []
    for document in sheet.documents():
        assert document.problem is None
        try:
            lines.append(converter.line(document.line, document.content))
        except Passed as passed:
            others.append(passed.code)
        except InvalidEvent as error:
            others.append(error.refusal.code)
    return sheet, lines, others


def facts(lines: Iterable[Line]) -> list[tuple]:
    return [
        (
            x.said.day.day,
            x.model,
            x.said.charge,
            x.said.token_class,
            x.said.tokens,
            str(x.usd.normalize()),
        )
        for x in lines
    ]


def test_openai():
    sheet, lines, others = read("openai.csv")
    assert (sheet.format.name, others) == ("openai", ["no_amount"])
    assert facts(lines) == [
        (1, "gpt-4o-2024-08-06", "usage", "input", 1_000_000, "2.5"),
        (1, "gpt-4o-2024-08-06", "usage", "cache_read", 500_000, "0.625"),
        (1, "gpt-4o-2024-08-06", "usage", "output", 100_000, "1"),
        (2, "gpt-4o-mini", "usage", "input", 200_000, "0.03"),
        (2, None, "fee", None, None, "0.25"),
    ]
    assert lines[0].said.amount == "2.5000000000000000000000000000"


def test_anthropic():
    sheet, lines, others = read("anthropic.csv")
    assert (sheet.format.name, others) == ("anthropic", [])
    haiku = "claude-haiku-4-5-20251001"
    assert facts(lines) == [
        (1, haiku, "usage", "input", None, "0.05"),
        (1, haiku, "usage", "cache_read", None, "0.01"),
        (1, haiku, "usage", "cache_write", None, "0.02"),
        (1, haiku, "usage", "output", None, "0.02"),
        (2, None, "fee", None, None, "0.3"),
    ]


def test_aws_cost_and_usage_report():
    sheet, lines, others = read("aws_cur.csv")
    assert (sheet.format.name, others) == ("aws-cur", ["another_service"])
    nova = "amazon.nova-lite-v1:0"
    assert facts(lines) == [
        (1, nova, "usage", "input", 1_500_000, "0.09"),
        (1, nova, "usage", "output", 100_000, "0.024"),
        (2, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "usage", "input", None, "6"),
        (1, nova, "credit", None, None, "-0.05"),
    ]
    assert lines[3].said.last_day == date(2026, 11, 30)
    sheet, lines, _ = read("aws_cur2.csv")
    assert sheet.format.name == "aws-cur"
    assert facts(lines) == [(1, nova, "usage", "input", 1_500_000, "0.09")]


def test_azure_is_converted_by_the_given_rate_only():
    sheet, lines, others = read("azure.csv")
    assert (sheet.format.name, others) == ("azure", ["another_service"])
    assert facts(lines) == [
        (1, "gpt-4o-2024-08-06", "usage", "input", 1_000_000, "2.5"),
        (1, "gpt-4o-2024-08-06", "usage", "output", 100_000, "1"),
    ]
    assert (lines[0].said.currency, lines[0].amount) == ("EUR", Decimal("2.3"))
    assert read("azure.csv", GivenRates({}))[2] == ["no_rate", "no_rate", "another_service"]


def test_google_console_with_its_lines_above_the_header():
    sheet, lines, others = read("google_console.csv")
    assert (sheet.format.name, sheet.format.zone) == ("google", "America/Los_Angeles")
    assert others == ["another_service"]
    assert facts(lines) == [
        (1, "gemini-2.5-flash", "usage", "input", 2_000_000, "0.6"),
        (1, "gemini-2.5-flash", "usage", "output", 600_000, "1.5"),
        (1, None, "tax", None, None, "0.1"),
    ]
    assert [x.number for x in lines] == [8, 9, 11]


def test_google_times_are_days_of_the_pacific():
    sheet, lines, _ = read("google_bigquery.csv")
    assert sheet.format.name == "google"
    assert facts(lines) == [(1, "gemini-2.5-flash", "usage", "input", 2_000_000, "0.6")]


def test_focus():
    sheet, lines, _ = read("focus.csv")
    assert sheet.format.name == "focus"
    assert facts(lines) == [
        (1, "gpt-4o-2024-08-06", "usage", "input", 1_000_000, "2.5"),
        (1, None, "tax", None, None, "0.4"),
    ]
    assert lines[1].said.last_day == date(2026, 11, 30)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.iterdir()))
def test_ids_are_the_same_when_it_is_read_again_and_differ_within_it(name):
    first, second = ([x.line_id for x in read(name)[1]] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first) > 0


def test_equal_lines_are_two_and_a_corrected_amount_is_the_same_line(tmp_path):
    text = (DATA / "openai.csv").read_text()
    head, line, *_ = text.splitlines()
    (tmp_path / "twice.csv").write_text("\n".join([head, line, line]))
    (tmp_path / "corrected.csv").write_text("\n".join([head, line.replace("2.5000", "2.6000")]))
    twice = [x.line_id for x in read(tmp_path / "twice.csv")[1]]
    assert len(set(twice)) == 2
    assert [x.line_id for x in read(tmp_path / "corrected.csv")[1]] == twice[:1]


def test_other_delimiters_line_breaks_in_cells_and_gzip_are_read(tmp_path):
    row = '"2026-11-01";"1.5";"usd";"gpt-4o,\n input"'
    text = f"start_time_iso;amount_value;amount_currency;line_item\n{row}\n{row}\n;;\n"
    (tmp_path / "costs.csv.gz").write_bytes(gzip.compress(text.encode("utf-8-sig")))
    sheet = Sheet(tmp_path / "costs.csv.gz", ALL)
    documents = list(sheet.documents())
    assert [(one.line, one.problem is None) for one in documents] == [(2, True), (4, True)]
    assert documents[0].content["line_item"] == "gpt-4o,\n input"


def test_only_lines_with_the_words_are_read():
    sheet = Sheet(DATA / "focus.csv", ALL)
    models = Models(OURS)
    converter = Converter(sheet.format, Identities("p", "focus"), models, EUR, "vat")
    with pytest.raises(Passed, match="not_asked_for: has no cell with 'vat'"):
        converter.line(2, next(iter(sheet.documents())).content)
    assert converter.line(3, list(sheet.documents())[1].content).said.charge == "tax"


def test_a_line_with_other_columns_than_the_header_is_named(tmp_path):
    file = tmp_path / "costs.csv"
    file.write_text("start_time_iso,amount_value,amount_currency,line_item\n1,2\n")
    (document,) = Sheet(file, ALL).documents()
    assert document.line == 2
    assert document.problem is not None
    assert document.problem.detail == "has 2 columns, and the header 4"


def test_a_file_that_no_format_knows_is_refused_with_what_is_missing(tmp_path):
    file = tmp_path / "costs.csv"
    file.write_text("start_time,amount_value,item\n1,2,3\n")
    with pytest.raises(
        UserError, match=r"nearest is openai .*lacks: amount_currency, line_item; known"
    ):
        Sheet(file, ALL)
    with pytest.raises(
        UserError, match=r"is no Anthropic cost export, .* lacks: usage_date_utc, mo"
    ):
        Sheet(file, [FORMATS["anthropic"]])
    file.write_text('{"data": []}')
    with pytest.raises(UserError, match="is JSON"):
        Sheet(file, ALL)


@pytest.mark.parametrize(
    ("amount", "currency", "day", "code"),
    [
        ("two", "usd", "2026-11-01", "invalid_field"),
        ("nan", "usd", "2026-11-01", "invalid_field"),
        ("1", "dollars", "2026-11-01", "invalid_field"),
        ("1e30", "usd", "2026-11-01", "invalid_field"),
        ("1", "gbp", "2026-11-01", "no_rate"),
        ("1", "usd", "November", "invalid_field"),
        ("1", "usd", "", "invalid_field"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, amount, currency, day, code):
    file = tmp_path / "costs.csv"
    file.write_text(
        "start_time_iso,amount_value,amount_currency,line_item\n"
        f'{day},{amount},{currency},"gpt-4o, input"\n'
    )
    assert read(file)[2] == [code]


def test_without_a_rate_given_the_one_of_the_budgets_on_that_day_holds():
    dated = {"EUR": {date(2026, 1, 1): Decimal("0.9"), date(2026, 11, 1): Decimal("0.92")}}
    rates = GivenRates({"GBP": Decimal("0.8")}, Rates.of(dated, "Europe/Berlin"))
    assert rates.at("EUR", date(2026, 10, 31)) == Decimal("0.9")
    assert rates.at("EUR", NOV) == Decimal("0.92")
    assert rates.at("EUR", date(2025, 12, 31)) is None
    assert rates.at("GBP", NOV) == Decimal("0.8")


@pytest.mark.parametrize("pair", ["EUR", "EUR=", "EUR=0", "EUR=-1", "XXY=2", "USD=1", "EUR=nan"])
def test_a_rate_that_is_none_is_refused(pair):
    with pytest.raises(UserError, match="--rate"):
        parse_rates([pair])


def test_rates_are_units_for_one_dollar():
    assert parse_rates(["eur=0.92", "HKD=7.8"]) == {"EUR": Decimal("0.92"), "HKD": Decimal("7.8")}
