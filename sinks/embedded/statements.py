"""What must be known of a statement before the engine gets it.

The engine parses SQL; two questions are answered here because it cannot: where the data of an
INSERT begins in a body, and whether a statement reaches the file system of the host. The second
is put to the engine's own formatter, so that comments, quotes and escapes have no effect on it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sinks.embedded.errors import ACCESS_DENIED, QueryError

# ClickHouse's max_query_size: an INSERT whose head is longer is no INSERT to the engine either.
MAX_HEAD_BYTES: Final = 262_144

_TOKEN = re.compile(
    rb"""(?P<skip>\s+ | --[^\n]* | \#[\ !][^\n]* | /\*.*?\*/)
       | '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`
       | (?P<word>[A-Za-z_][A-Za-z0-9_]*) | .""",
    re.DOTALL | re.VERBOSE,
)
_DATA_BEGINS = re.compile(rb"[ \t\f]*\r?\n?")
_NAME_FOLLOWS = frozenset((b"INTO", b"TABLE", b"FUNCTION", b"."))
_NO_DATA = frozenset((b"SELECT", b"WITH", b"FROM", b"WATCH"))

# Only these can reach files; an escape inside quotes could spell any of them.
_SUSPECT = re.compile(rb"file|database|[`\"][^`\"]*\\", re.IGNORECASE)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_FILE_ACCESS = re.compile(r"\b(?:INTO OUTFILE|FROM INFILE)\b|\bfile`?\s*\(", re.IGNORECASE)
_DATABASE_ENGINE = re.compile(r"^(?:CREATE|ATTACH) DATABASE\b.*^ENGINE = `?(\w+)", re.DOTALL | re.M)
_HARMLESS_ENGINES = frozenset(("Atomic", "Memory", "Ordinary"))
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)(?:\s+SETTINGS\b[^;]*)?[\s;]*$", re.IGNORECASE)


@dataclass(frozen=True)
class InsertHead:
    """An INSERT up to its data: the statement before SETTINGS, these, the format, and where in the
    text the data begins."""

    statement: str
    settings: str
    format: str
    data_offset: int


def insert_head(text: bytes) -> InsertHead | None:
    """Where the data of ``INSERT … FORMAT f`` or ``INSERT … VALUES`` begins in ``text``.

    None if ``text`` is another statement, or an INSERT that takes its rows from a query.
    """
    previous, depth, first = b"", 0, True
    settings_at: int | None = None
    tokens = _TOKEN.finditer(text[:MAX_HEAD_BYTES])
    for token in tokens:
        if token["skip"] is not None:
            continue
        word = token[0].upper()
        if first and word != b"INSERT":
            return None
        first = False
        depth += {b"(": 1, b")": -1}.get(word, 0)
        if token["word"] is not None and depth == 0 and previous not in _NAME_FOLLOWS:
            if word in _NO_DATA:
                return None
            if word == b"SETTINGS" and settings_at is None:
                settings_at = token.start()
            upto = token.start() if settings_at is None else settings_at
            statement = text[:upto].decode(errors="replace")
            settings = text[upto : token.start()].decode(errors="replace")
            if word == b"VALUES":
                return InsertHead(statement, settings, "Values", token.end())
            if word == b"FORMAT":
                name = next((t for t in tokens if t["skip"] is None), None)
                if name is None or name["word"] is None:
                    return None
                begins = _DATA_BEGINS.match(text, name.end())
                data = begins.end() if begins else name.end()
                return InsertHead(statement, settings, name[0].decode(), data)
        previous = word
    return None


def result_format(text: bytes, default: str) -> str:
    """The format that a statement asks for at its end, else ``default``."""
    found = _FORMAT.search(text)
    return found[1].decode() if found else default


def refuse_file_access(text: bytes, canonical: Callable[[bytes], str]) -> None:
    """Refuse a statement that would read or write files of the host.

    The engine's grants keep table functions and table engines from files and the network; what
    they do not cover is refused here: INTO OUTFILE, FROM INFILE, the function ``file()``, and
    databases that are not kept in the data folder. Not refused: ``file()`` inside the data of
    an ``INSERT … VALUES``, which only a user who may write can send.

    Args:
        text: one statement, without the data of an INSERT.
        canonical: the engine's ``formatQuery``, asked only if a word of ``text`` is suspect.

    Raises:
        QueryError: 497, or what ``canonical`` raises for a statement that does not parse.
    """
    if not _SUSPECT.search(text):
        return
    formatted = _LITERAL.sub("''", canonical(text))
    engine = _DATABASE_ENGINE.search(formatted)
    if _FILE_ACCESS.search(formatted) or (engine and engine[1] not in _HARMLESS_ENGINES):
        raise QueryError(
            ACCESS_DENIED,
            "The embedded server does not reach files outside its data folder: no INTO OUTFILE, "
            "FROM INFILE, file() or such databases. (ACCESS_DENIED)",
        )
