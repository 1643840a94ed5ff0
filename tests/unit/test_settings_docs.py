"""The table of settings in docs/operations.md against `streams.settings`."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from pydantic import SecretStr

from streams import settings
from streams.settings import PREFIX, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
TABLE = PAGE.partition("\n## Settings\n")[2].partition("\n## ")[0]
ROW = re.compile(rf"^\| `({PREFIX}\w+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)


def documented_in_the_source() -> dict[str, str]:
    """Setting to the text below it."""
    (model,) = (
        node
        for node in ast.parse(inspect.getsource(settings)).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    found = {}
    for field, after in zip(model.body, model.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def shown(default: object) -> str:
    """A default as the page has it."""
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    if value is None:
        return "–"
    return f"`{value}`" if value != "" else "empty"


def test_the_page_has_every_setting_with_its_default():
    wanted = [
        (f"{PREFIX}{name}".upper(), shown(field.default))
        for name, field in Settings.model_fields.items()
    ]
    assert [(name, default) for name, default, _ in ROW.findall(TABLE)] == wanted


def test_every_setting_is_described_by_the_text_of_the_source_where_there_is_one():
    described = {name: text for name, _, text in ROW.findall(TABLE)}
    assert [name for name, text in described.items() if len(text) < 10] == []
    for name, text in documented_in_the_source().items():
        assert described[f"{PREFIX}{name}".upper()] == text
