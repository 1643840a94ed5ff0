"""Any file that people write in YAML: text stays text, and a mistake is one line with its line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, field_validator

from schemas.errors import UserError
from streams.file_model import FileModel, mistake, nearest, shown
from streams.yaml_file import YamlFile

SHAPE = "holds no shelf; expected the key books"


class Book(FileModel):
    noun = "a book"

    name: str = Field(examples=["Emma"])
    price: Decimal | None = None
    pages: int = 0
    bound: bool = False
    kind: Literal["novel", "poems"] = "novel"
    authors: tuple[str, ...] = ()

    @field_validator("authors")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise mistake("is there twice; name it once", len(value) - 1)
        return value


class Shelf(FileModel):
    noun = "a shelf"

    books: tuple[Book, ...] = Field(examples=["[]"])
    places: dict[str, int] = Field(default_factory=dict)

    @field_validator("places")
    @classmethod
    def _some(cls, value: dict[str, int]) -> dict[str, int]:
        if len(value) == 1:
            raise ValueError("one place is none")
        return value


def parsed(text: str | bytes) -> YamlFile:
    content = text if isinstance(text, bytes) else text.encode()
    return YamlFile(content, "shelf.yaml", shape=SHAPE)


def shelf(text: str) -> Shelf:
    return parsed(text).validated(Shelf)


def document(text: str) -> dict[str, Any]:
    return parsed(text).document


def test_every_scalar_stays_the_text_that_it_is():
    text = "{a: 1.10, b: 0042, c: no, d: 2026-01-01, e: null, f: , g: 'x', 2026-01-01: 1_0, on: 1}"
    assert document(text) == {
        **{"a": "1.10", "b": "0042", "c": "no", "d": "2026-01-01", "e": "null", "f": "", "g": "x"},
        **{"2026-01-01": "1_0", "on": "1"},
    }


def test_numbers_and_truth_values_are_read_by_the_model():
    (book,) = shelf("books: [{name: 007, price: 0.1, pages: 12, bound: yes}]").books
    assert (book.name, book.price, book.pages, book.bound) == ("007", Decimal("0.1"), 12, True)


def test_anchors_aliases_and_merges_are_written_out():
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {y: 4, <<: [*a, {z: 5, x: 6}]}\n"
    assert document(text) == {
        "a": {"x": "1", "y": "2"},
        "b": {"x": "1", "y": "2"},
        "c": {"x": "1", "y": "3"},
        "d": {"x": "1", "z": "5", "y": "4"},
    }


LINES = """\
# a comment
books:
  - name: a
    authors: [x,
      y]

  - {name: b,
     pages: 3}
places: {here: 1, there: 2}
"""


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        ((), 2),
        (("books",), 2),
        (("books", 0), 3),
        (("books", 0, "authors"), 4),
        (("books", 0, "authors", 1), 5),
        (("books", 0, "price"), 3),
        (("books", 1, "pages"), 8),
        (("books", 1, "pages", "int"), 8),
        (("books", 7), 2),
        (("places", "there", "[key]"), 9),
    ],
)
def test_the_line_of_a_place_is_where_it_is_written(loc, line):
    assert parsed(LINES).line_of(loc) == line


def test_the_line_of_an_alias_is_that_of_what_it_stands_for():
    file = parsed("a: &a\n  x: 1\nb: *a\nc:\n  <<: *a\n")
    assert [file.line_of((key, "x")) for key in "abc"] == [2, 2, 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: holds no shelf; expected the key books"),
        ("# nothing yet\n", ":1: holds no shelf; expected the key books"),
        ("\n- a\n", ":2: holds no shelf; expected the key books"),
        ("books", ":1: holds no shelf; expected the key books"),
        ("books: []\nplaces:\n  a: 1\n  a: 2\n", ":4: 'a' is on line 3 already; keep one"),
        ("books: []\n'books': []\n", ":2: 'books' is on line 1 already; keep one"),
        ("books: [\n", ":2: not YAML: expected the node content, but found '<stream end>'"),
        ("books: *a\n", ":1: not YAML: found undefined alias 'a'"),
        ("books: []\nx: \x07\n", ":2: not YAML: the character 0x0007 is not allowed"),
        (b"books: []\nx: \xe9\n", ":2: byte 0xe9 is no UTF-8; save the file as UTF-8"),
        ("books: []\n---\nbooks: []\n", ":3: a second document begins here; a file holds one"),
        ("books: []\n? [a]\n: b\n", ":2: a key is no plain name"),
        ("books: !new []\n", ":1: the tag !new means nothing here; leave it out"),
        ("books: []\nx: &x\n  - *x\n", ":2: holds itself, by an alias; write it out"),
        ("books: []\nx: {<<: 5}\n", ":2: `<<` takes in a mapping, by its alias"),
        ('a: "\\UFFFFFFFF"\n', ":1: not YAML: an escape is no character: "),
        ('a: 1\nb: "\\uD800"\n', ":2: half a character (a surrogate) is no text; write it whole"),
        ("[" * 600, ":1: is nested too deeply to be read"),
        ("{a: " * 600, ":1: is nested too deeply to be read"),
        ("x: &x {<<: *x}", ":1: is nested too deeply to be read"),
    ],
)
def test_what_is_no_mapping_of_values_is_one_line_with_its_line(text, says):
    with pytest.raises(UserError) as error:
        parsed(text)
    message = str(error.value)
    assert message.startswith("shelf.yaml" + says)
    assert "\n" not in message


def test_aliases_of_aliases_do_not_fill_the_memory():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    with pytest.raises(UserError, match=r":6: holds more than 1,000,000 values, aliases written"):
        parsed("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", ":1: books: is missing; write for example `books: []`"),
        ("book: []", ":1: book: is no key of a shelf; did you mean books?"),
        ("\nshelves: []", ":2: shelves: is no key of a shelf; known are books, places"),
        ("books: 5", ":1: books: is '5'; expected a list"),
        ("books:\n", ":1: books: is empty; expected a list"),
        ("books: {a: 1}", ":1: books: is a mapping; expected a list"),
        ("books:\n  - a\n", ":2: books[0]: is 'a'; expected a mapping"),
        ("books:\n  - pages: 1\n", ":2: books[0].name: is missing; write for example `name: Emma`"),
        ("books:\n  - name: [a]\n", ":2: books[0].name: is a list; expected text"),
        ("books:\n  - name: a\n    page: 1\n", ":3: books[0] (a).page: is no key of a book; did"),
        ("books: [{name: a, pages: 1.5}]", "books[0] (a).pages: is '1.5'; expected a whole number"),
        ("books: [{name: a, bound: so}]", "books[0] (a).bound: is 'so'; expected true or false"),
        ("books: [{name: a, kind: map}]", "(a).kind: is 'map'; expected 'novel' or 'poems'"),
        ("books: [{name: a, price: x}]", "(a).price: Input should be a valid decimal (got 'x')"),
        ("books:\n- name: a\n  authors:\n  - x\n  - x\n", ":5: books[0] (a).authors[1]: is there"),
        ("books: []\nplaces:\n  a: b\n", ":3: places.a: is 'b'; expected a whole number"),
        ("books: []\nplaces: {a: 1}\n", ":2: places: one place is none"),
        ('books: [{name: "a\\nb", x: 1}]', ":1: books[0] (a b).x: is no key of a book; known are"),
        ('books: []\n"a\\nb": 1\n', ":2: a b: is no key of a shelf; known are books, places"),
        ("books: []\nplaces: [1]\n", ":2: places: is a list; expected a mapping"),
    ],
)
def test_what_the_model_refuses_is_one_line_with_line_and_place(text, says):
    with pytest.raises(UserError) as error:
        shelf(text)
    message = str(error.value)
    assert message.startswith("shelf.yaml:")
    assert says in message
    assert "\n" not in message


def test_of_several_mistakes_the_first_of_the_file_is_told():
    with pytest.raises(UserError, match=r"yaml:2: places\.a: is 'b'; expected a whole number$"):
        shelf("places:\n  a: b\nbooks:\n  - {name: x, pages: y}\n")


def test_a_file_that_is_not_there_or_no_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"gone\.yaml: No such file or directory; give a file that"):
        YamlFile.read(tmp_path / "gone.yaml", shape=SHAPE)
    with pytest.raises(UserError, match=r": Is a directory; give a file that can be read"):
        YamlFile.read(tmp_path, shape=SHAPE)


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert parsed(b"\xef\xbb\xbfa: b").document == {"a": "b"}


def test_what_an_error_quotes_is_short_and_on_one_line():
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("a" * 1000)) < 70


@pytest.mark.parametrize(
    ("word", "meant"),
    [("Use-Case", "use_case"), ("taem", "team"), ("teams", "team"), ("galaxy", None)],
)
def test_the_nearest_name_is_alike_but_for_case_and_a_few_letters(word, meant):
    assert nearest(word, ["use_case", "team", "user"]) == meant
