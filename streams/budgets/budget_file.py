"""Reading a budgets file. What it may say is in `streams.budgets.book`."""

from __future__ import annotations

from pathlib import Path

from streams.budgets.book import BudgetBook
from streams.yaml_file import YamlFile

_SHAPE = "holds no budgets; expected a list under the key budgets, as in examples/budgets.yaml"


def read_budgets(path: Path) -> BudgetBook:
    """Read and check the file. Raises UserError: file, line, place, what would be right."""
    return open_budgets(path)[1]


def open_budgets(path: Path) -> tuple[YamlFile, BudgetBook]:
    """The same with the file, for whoever has more to say of its lines."""
    file = YamlFile.read(path, shape=_SHAPE)
    book = file.validated(BudgetBook)
    if "budgets" not in file.document:  # half of a file must not pass for a file without budgets
        raise file.error(("budgets",), "is missing; write `budgets: []` for none", missing=True)
    return file, book
