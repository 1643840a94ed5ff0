"""All sources by name, and which of them a document looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.errors import UserError
from streams.imports.anthropic import ANTHROPIC_USAGE
from streams.imports.langfuse import LANGFUSE
from streams.imports.litellm import LITELLM
from streams.imports.openai import OPENAI_COSTS, OPENAI_USAGE
from streams.imports.openmeter import OPENMETER
from streams.imports.source import Source

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (LITELLM, OPENAI_USAGE, OPENAI_COSTS, ANTHROPIC_USAGE, LANGFUSE, OPENMETER)
}
_SHOWN_KEYS = 8


def wrong_shape(source: Source, document: Mapping[str, Any], name: str) -> UserError:
    """The error for a file that is no export of this source: what it looks like instead."""
    for other in SOURCES.values():
        if other is not source and other.own(document):
            return UserError(f"{name}: looks like {other.noun}; import it with --from {other.name}")
    keys = ", ".join(str(key)[:40] for key in list(document)[:_SHOWN_KEYS]) or "nothing"
    return UserError(f"{name}: has {keys}; {source.name} is {source.noun}")
