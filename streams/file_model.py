"""What a configuration file may say: models that name a mistake and what would be right.

Every scalar of a file arrives as the text that it is (`streams.yaml_file`), so a validator here
reads text. A model may be made in Python as well, from the values themselves.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar, Final, LiteralString

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

MISSING: Final = "missing"


def mistake(message: str, *loc: str | int, kind: LiteralString = "mistake") -> ValidationError:
    """A mistake for a validator to raise, at ``loc`` below what the validator is given.

    pydantic puts the place of the validator in front of ``loc``.
    """
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return ValidationError.from_exception_data(
        "mistake", [InitErrorDetails(type=error, loc=loc, input=None)]
    )


def wrong(value: object, right: str) -> ValidationError:
    """The mistake that a value is: what is there, and what would be right."""
    return mistake(f"is {shown(value)}; {right}")


def shown(value: object) -> str:
    """A value as an error quotes it: short, on one line, and no dump of a whole mapping."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant: alike but for case, `_`, `-`, blanks and a few letters."""
    plain = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=0.65)
    return plain[close[0]] if close else None


def known_or_nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` where one name is near, else all names."""
    names = list(known)
    close = nearest(word, names)
    return f"did you mean {close}?" if close else f"known are {', '.join(names)}"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in "_- ")


class FileModel(BaseModel):
    """Base of what a file may hold: nothing that is not named, everything that is required.

    ``noun`` says in errors what it is. A required field shows in its first example how it is
    written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    noun: ClassVar[str] = "this mapping"

    @model_validator(mode="before")
    @classmethod
    def _known_and_complete(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        for key in fields:
            if key not in cls.model_fields:
                near = known_or_nearest(str(key), cls.model_fields)
                raise mistake(f"is no key of {cls.noun}; {near}", key)
        for name, field in cls.model_fields.items():
            if field.is_required() and name not in fields:
                example = field.examples[0] if field.examples else None
                right = f"; write for example `{name}: {example}`" if example else ""
                raise mistake(f"is missing{right}", name, kind=MISSING)
        return fields
