"""The content of a routing file: values that know their place and line, for one-line mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn


class RoutingFileError(ValueError):
    """A mistake in a routing file or a model file. One line: where, what, what would be right."""


@dataclass(frozen=True, slots=True)
class Item:
    """A value of the file: text, a list or a mapping of Items. ``where``: file and line."""

    where: str
    place: str
    value: Any

    def fail(self, message: str) -> NoReturn:
        """Raise RoutingFileError about this value."""
        place = f"{self.place}: " if self.place else ""
        raise RoutingFileError(f"{self.where}: {place}{message}")

    def text(self) -> str:
        """The value where it is text that is not empty."""
        if not isinstance(self.value, str) or not self.value.strip():
            self.fail(f"is {shown(self.value)}; write a text")
        return self.value

    def items(self) -> list[Item]:
        """The entries of a list; a single text is a list of one."""
        if isinstance(self.value, str):
            return [self]
        if not isinstance(self.value, list) or not self.value:
            self.fail(f"is {shown(self.value)}; write a list of at least one")
        return self.value

    def mapping(self) -> dict[str, Item]:
        """The entries of a mapping."""
        if not isinstance(self.value, dict):
            self.fail(f"is {shown(self.value)}; write a mapping")
        return self.value

    def keys(self, known: Iterable[str], required: Iterable[str] = ()) -> dict[str, Item]:
        """The entries of a mapping that may hold these keys and no others."""
        entries, known = self.mapping(), tuple(known)
        for key, item in entries.items():
            if key not in known:
                item.fail(f"is no key here; {known_or_nearest(key, known)}")
        for key in required:
            if key not in entries:
                self.fail(f"{key} is missing")
        return entries

    def one_of(self, known: Iterable[str]) -> str:
        """The text where it is one of these."""
        text, known = self.text(), tuple(known)
        if text not in known:
            self.fail(f"is {shown(text)}; {known_or_nearest(text, known)}")
        return text

    def truth(self) -> bool:
        """The value of `true` or `false`."""
        return self.one_of(("true", "false")) == "true"

    def count(self) -> int:
        """The value of a whole number that is not negative."""
        digits = self.text().replace("_", "")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 16):
            self.fail(f"is {shown(self.value)}; write a whole number, such as 500")
        return int(digits)


def read_document(path: Path) -> Item:
    """The content of a YAML or JSON file. Raises RoutingFileError."""
    try:
        import yaml
    except ImportError:
        raise RoutingFileError(
            f"{path}: reading it needs PyYAML; pip install 'spendstream-client[routing]'"
        ) from None
    try:
        root = yaml.compose(path.read_bytes().decode("utf-8-sig"), yaml.SafeLoader)
    except OSError as error:
        raise RoutingFileError(f"{path}: {error.strerror}; give a file that can be read") from None
    except UnicodeDecodeError:
        raise RoutingFileError(f"{path}: is no UTF-8; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RoutingFileError(f"{path}:{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        why = " ".join(str(error).split())
        raise RoutingFileError(f"{path}: not YAML: {why:.200}") from None
    except RecursionError:
        raise RoutingFileError(f"{path}: is nested too deeply to be read") from None
    return Item(f"{path}:1", "", "") if root is None else _from_yaml(root, str(path), "", set())


def from_values(value: object, name: str, place: str = "") -> Item:
    """The same from plain values: what `json.load` gives. ``name`` stands for the file."""
    found: Any
    if isinstance(value, Mapping):
        found = {str(k): from_values(v, name, _below(place, str(k))) for k, v in value.items()}
    elif isinstance(value, list | tuple):
        found = [from_values(v, name, f"{place}[{i}]") for i, v in enumerate(value)]
    elif isinstance(value, bool):
        found = str(value).lower()
    else:
        found = "" if value is None else str(value)
    return Item(name, place, found)


def _from_yaml(node: Any, path: str, place: str, seen: set[int]) -> Item:
    """Every scalar stays the text that it is: `no` is no truth value, 0042 no octal number."""
    where = f"{path}:{node.start_mark.line + 1}"
    if id(node) in seen:
        Item(where, place, None).fail("an alias means nothing here; write it out")
    seen.add(id(node))
    if node.id == "scalar":
        return Item(where, place, node.value)
    if node.id == "sequence":
        found = [_from_yaml(v, path, f"{place}[{i}]", seen) for i, v in enumerate(node.value)]
        return Item(where, place, found)
    entries: dict[str, Item] = {}
    for key, value in node.value:
        name = key.value if key.id == "scalar" else "a key"
        item = _from_yaml(value, path, _below(place, name), seen)
        at = Item(f"{path}:{key.start_mark.line + 1}", item.place, item.value)
        if key.id != "scalar":
            at.fail("is no plain name")
        if name in entries:
            at.fail("is there twice; keep one")
        entries[name] = at
    return Item(where, place, entries)


def known_or_nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` where one name is near, else all names."""
    plain = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=0.65)
    return f"did you mean {plain[close[0]]}?" if close else f"known are {', '.join(plain.values())}"


def shown(value: object) -> str:
    """A value as an error quotes it: short, on one line."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(str(value)[:60])


def _below(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in "_- ")
