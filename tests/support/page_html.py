"""Reading the page as a test does: its figures and tables with their exact values and queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from reports.figures.figure import exact_text
from sinks.clickhouse import ClickHouse


@dataclass
class ShownTable:
    """A table of the page: cells as exact text, row by row."""

    name: str
    sql: str
    rows: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class ShownFigure:
    """A figure of the page."""

    name: str
    value: str
    unit: str
    sql: str


class PageReader(HTMLParser):
    """Figures, tables, links and the text of a page; and what a strict policy would refuse."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.figures: list[ShownFigure] = []
        self.tables: list[ShownTable] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self._data = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name[:2] == "on"]
        self._data = tag == "script"
        is_script = tag == "script" and "src" not in given
        if tag == "style" or (is_script and given.get("type") != "application/json"):
            self.inline.append(tag)
        if "data-figure" in given:
            parts = (given[f"data-{name}"] for name in ("figure", "value", "unit", "sql"))
            self.figures.append(ShownFigure(*parts))
        elif "data-table" in given:
            self.tables.append(ShownTable(given["data-table"], given["data-sql"]))
        elif tag == "tr" and self.tables:
            self.tables[-1].rows.append([])
        elif tag in {"td", "th"} and "data-value" in given:
            self.tables[-1].rows[-1].append(given["data-value"])
        elif tag == "a":
            self.links.append(given["href"])
        self.loaded += [given[name] for name in ("src",) if name in given]
        self.loaded += [given["href"]] if tag == "link" else []

    def handle_endtag(self, tag: str) -> None:
        self._data = False

    def handle_data(self, data: str) -> None:
        if not self._data:
            self.text += data

    def value(self, name: str) -> str:
        """The exact value of the only figure of a name."""
        (found,) = {figure.value for figure in self.figures if figure.name == name}
        return found

    def table(self, name: str) -> list[list[str]]:
        """The rows of the first table of a name, without its head."""
        found = next(table for table in self.tables if table.name == name)
        return [row for row in found.rows if row]


def differences(page: PageReader, clickhouse: ClickHouse) -> list[str]:
    """What on the page is not, to the last digit, what its own query gives."""
    wrong = []
    for figure in page.figures:
        _, rows = clickhouse.query_columns(figure.sql)
        given = [[exact_text(value) for value in row] for row in rows]
        if given != [[figure.value]]:
            wrong.append(f"{figure.name}: {figure.value!r} is shown, {given} is asked")
    for table in page.tables:
        _, rows = clickhouse.query_columns(table.sql)
        given = [[exact_text(value) for value in row] for row in rows]
        shown = [row for row in table.rows if row]
        if given != shown:
            wrong.append(f"table {table.name}: {shown[:2]} is shown, {given[:2]} is asked")
    return wrong
