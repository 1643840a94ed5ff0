"""YAML files that people write: plain values, the line of each, and one line for a mistake.

Every scalar stays the text that it is: money never becomes a binary float, a user `0042` no octal
number, the region `no` no truth value. What a text means, the model says that it is validated with.
Anchors, aliases and `<<` are allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import UserError
from streams.file_model import MISSING, shown

MOST_VALUES = 1_000_000
"""With aliases written out. A few lines of aliases of aliases would fill the memory otherwise."""

Loc = tuple[int | str, ...]
"""A place in the document, as pydantic gives it: keys, and indices of lists."""

M = TypeVar("M", bound=BaseModel)

_TAG = "tag:yaml.org,2002:"
_EXPECTED = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


class YamlFile:
    """The content of a file, whose outermost value is a mapping.

    ``shape`` is said of a file that holds no mapping: what was expected. ``label`` names the keys
    that an entry of a list is called by in errors: `budgets[2] (users)`. Raises UserError.
    """

    def __init__(
        self, content: bytes, name: str, *, shape: str, label: tuple[str, ...] = ("name",)
    ) -> None:
        self.content = content
        self.name = name
        self._label = label
        self._entries_of: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}
        self._built: dict[int, tuple[Any, int] | None] = {}
        try:
            root = self._compose()
            if not isinstance(root, yaml.MappingNode):
                self._fail(root, shape)
            self._root = root
            self.document: dict[str, Any] = self._value(root)[0]
        except RecursionError:
            raise UserError(f"{name}:1: is nested too deeply to be read") from None

    @classmethod
    def read(cls, path: Path, *, shape: str, label: tuple[str, ...] = ("name",)) -> Self:
        """The file at ``path``. Raises UserError."""
        try:
            content = path.read_bytes()
        except OSError as error:
            why = error.strerror or error
            raise UserError(f"{path}: {why}; give a file that can be read") from None
        return cls(content, str(path), shape=shape, label=label)

    def line_of(self, loc: Loc) -> int:
        """The line, from 1, of what is at ``loc``; of what it is missing in, where it is."""
        return self._find(loc)[0]

    def error(self, loc: Loc, message: str, *, missing: bool = False) -> UserError:
        """The error that says this of what is at ``loc``, or of what is ``missing`` there."""
        line, place = self._find(loc)
        if missing:
            place = f"{place}.{loc[-1]}".lstrip(".")
        return self._at(line, f"{place}{': ' if place else ''}{message}")

    def validated(self, model: type[M], context: Any = None) -> M:
        """The document as a model. Raises UserError with the mistake that comes first in it."""
        try:
            return model.model_validate(self.document, context=context)
        except ValidationError as error:
            mistakes = [
                found for found in error.errors() if found["type"] != "default_factory_not_called"
            ]
        first = min(mistakes, key=lambda found: self.line_of(found["loc"]))
        raise self.error(first["loc"], _message(first), missing=first["type"] == MISSING)

    def _compose(self) -> yaml.Node | None:
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.content.count(b"\n", 0, error.start) + 1
            byte = self.content[error.start]
            raise self._at(line, f"byte 0x{byte:02x} is no UTF-8; save the file as UTF-8") from None
        try:
            documents = list(yaml.compose_all(text, yaml.SafeLoader))
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self._at(line, f"not YAML: {error.problem}") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            code = f"{ord(text[error.position]):#06x}"
            raise self._at(line, f"not YAML: the character {code} is not allowed") from None
        except (ValueError, OverflowError) as error:  # "\UFFFFFFFF", which PyYAML does not look at
            raise self._at(1, f"not YAML: an escape is no character: {error}") from None
        if len(documents) > 1:
            self._fail(documents[1], "a second document begins here; a file holds one")
        return documents[0] if documents else None

    def _value(self, node: yaml.Node) -> tuple[Any, int]:
        """The plain value, and how many values are in it; once per node, however many aliases."""
        if id(node) in self._built:
            known = self._built[id(node)]
            if known is None:
                self._fail(node, "holds itself, by an alias; write it out")
            return known
        if not node.tag.startswith(_TAG):
            self._fail(node, f"the tag {node.tag} means nothing here; leave it out")
        self._built[id(node)] = None
        value: Any
        if isinstance(node, yaml.MappingNode):
            parts = {key: self._value(part) for key, (_, part) in self._entries(node).items()}
            value = {key: part for key, (part, _) in parts.items()}
            size = 1 + sum(size for _, size in parts.values())
        elif isinstance(node, yaml.SequenceNode):
            items = [self._value(part) for part in node.value]
            value = [part for part, _ in items]
            size = 1 + sum(size for _, size in items)
        else:
            value, size = node.value, 1
            if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
                self._fail(node, "half a character (a surrogate) is no text; write it whole")
        if size > MOST_VALUES:
            self._fail(node, f"holds more than {MOST_VALUES:,} values, aliases written out")
        self._built[id(node)] = value, size
        return value, size

    def _entries(self, mapping: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key → the nodes of key and value; what `<<` brings in gives way to the mapping's own."""
        known = self._entries_of.get(id(mapping))
        if known is not None:
            return known
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, "a key is no plain name")
            if key.tag == f"{_TAG}merge":
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(source, yaml.MappingNode):
                        self._fail(key, "`<<` takes in a mapping, by its alias")
                    merged = {**self._entries(source), **merged}
            elif key.value in own:
                first = own[key.value][0].start_mark.line + 1
                self._fail(key, f"{key.value!r} is on line {first} already; keep one")
            else:
                own[key.value] = key, value
        self._entries_of[id(mapping)] = entries = {**merged, **own}
        return entries

    def _find(self, loc: Loc) -> tuple[int, str]:
        """Line, and the place in words. Steps that are no part of the file are passed over:
        pydantic adds some of its own, such as the branch of a union.
        """
        node: yaml.Node = self._root
        line, place = node.start_mark.line + 1, ""
        for step in loc:
            if isinstance(node, yaml.MappingNode) and step in self._entries(node):
                key, node = self._entries(node)[str(step)]
                line, place = key.start_mark.line + 1, f"{place}.{step}"
            elif isinstance(node, yaml.SequenceNode) and step in range(len(node.value)):
                node = node.value[int(step)]
                line, place = node.start_mark.line + 1, f"{place}[{step}]{self._name_of(node)}"
        return line, place.lstrip(".")

    def _name_of(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.MappingNode):
            return ""
        entries = self._entries(node)
        names = [entries[key][1].value for key in self._label if key in entries]
        named = len(names) == len(self._label) and all(isinstance(name, str) for name in names)
        return f" ({'/'.join(names)})" if named else ""

    def _at(self, line: int, message: str) -> UserError:
        text = " ".join(message.split()).encode("utf-8", "backslashreplace").decode()
        return UserError(f"{self.name}:{line}: {text}")

    def _fail(self, node: yaml.Node | None, message: str) -> NoReturn:
        raise self._at(1 if node is None else node.start_mark.line + 1, message) from None


def _message(error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    expected = error["ctx"]["expected"] if kind == "literal_error" else _EXPECTED.get(kind)
    if expected:
        return f"is {shown(value)}; expected {expected}"
    message = str(error["msg"]).removeprefix("Value error, ")
    ours = "url" not in error or kind == "value_error"
    return message if ours or isinstance(value, dict | list) else f"{message} (got {shown(value)})"
