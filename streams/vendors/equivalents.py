"""The equivalents file: which models would do in place of which, as `examples/equivalents.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from reports.vendors.compare import Target, TokenRange
from schemas.errors import UserError
from streams.file_model import FileModel, mistake, shown
from streams.rating.pricebook import PriceBook
from streams.rating.show import sellers
from streams.vendors.token_range import token_range
from streams.yaml_file import YamlFile

_SHAPE = "holds no equivalents; expected a list under the key equivalents, as in " + (
    "examples/equivalents.yaml"
)


def _model(value: Any) -> str:
    provider, slash, model = value.strip().partition("/") if isinstance(value, str) else ("",) * 3
    if not (provider and slash and model):
        raise PydanticCustomError(
            "model",
            "is {value}; write provider/model, such as openai/gpt-4o",
            {"value": shown(value)},
        )
    return f"{provider}/{model}"


def _tokens(value: Any) -> TokenRange:
    try:
        return token_range(str(value))
    except ValueError as error:
        raise PydanticCustomError("tokens", "{why}", {"why": str(error)}) from None


def _place(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


ModelName = Annotated[str, BeforeValidator(_model)]


class Place(FileModel):
    """A model elsewhere. Without ``region`` it is that of each call. ``tokens``: per token here."""

    noun = "a model to compare with"

    model: ModelName = Field(examples=["anthropic/claude-sonnet-4-5"])
    region: str | None = None
    tokens: Annotated[TokenRange, BeforeValidator(_tokens)] | None = None

    @property
    def target(self) -> Target:
        """Where it is."""
        provider, _, model = self.model.partition("/")
        return Target(provider, model, self.region)


class Equivalent(FileModel):
    """A model in use, and what would do in its place."""

    noun = "an equivalent"

    model: ModelName = Field(examples=["openai/gpt-4o"])
    to: tuple[Annotated[Place, BeforeValidator(_place)], ...] = Field(
        examples=["[anthropic/claude-sonnet-4-5]"]
    )

    @field_validator("to")
    @classmethod
    def _some(cls, value: tuple[Place, ...]) -> tuple[Place, ...]:
        if not value:
            raise mistake("is an empty list; name at least one model")
        return value


class Equivalents(FileModel):
    """What the file says; of two entries of one model both count."""

    noun = "an equivalents file"

    equivalents: tuple[Equivalent, ...] = Field(examples=["[{model: …, to: […]}]"])


def read_equivalents(path: Path, book: PriceBook) -> tuple[Equivalent, ...]:
    """Read a file. Raises UserError: file, line, and what would be right, also of a model that the
    price book does not know."""
    file = YamlFile.read(path, shape=_SHAPE, label=("model",))
    found = file.validated(Equivalents).equivalents
    for index, entry in enumerate(found):
        for place, one in enumerate(entry.to):
            try:
                known_target(book, one.model, one.region)
            except UserError as error:
                raise file.error(("equivalents", index, "to", place), str(error)) from None
    return found


def known_target(book: PriceBook, text: str, region: str | None) -> Target:
    """The target that a name means. Raises UserError, with near names, for one without a price."""
    provider, model = sellers(book, text)[0]
    return Target(provider, model, region)
