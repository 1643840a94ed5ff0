"""Estimates where a provider's count never arrived: from the text that was seen.

The rule: four characters are a token (OpenAI's and Google's rule of thumb for English); of
Chinese, Japanese and Korean writing one character is 0.6 of a token (DeepSeek's documentation,
"Token & Token Usage"). Rounded up, once per bucket. Pictures, sound and files are not estimated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PER_20_WIDE = 12
_PER_20_OTHER = 5
"""Tokens per twenty characters, so that the sum is one of whole numbers."""

_EAST_ASIAN = re.compile(
    "["
    "\u1100-\u11ff"  # Hangul
    "\u2e80-\u9fff"  # radicals, kana, CJK
    "\uac00-\ud7ff"  # Hangul syllables
    "\uf900-\ufaff"  # CJK compatibility
    "\uff00-\uffef"  # full and half width forms
    "\U00020000-\U0003ffff"  # further CJK
    "]+"
)

_OF_A_REQUEST = (
    *("system", "instructions", "messages", "tools"),
    *("input", "prompt", "suffix"),
    *("contents", "systemInstruction", "system_instruction"),
    *("message", "preamble", "chat_history", "texts", "toolConfig"),
)
_TEXTS = frozenset(
    {
        *("text", "content", "parts", "thinking", "reasoning_content", "refusal", "transcript"),
        *("name", "description", "title", "message", "output", "json"),
        *("function", "tool_calls", "functionCall", "functionResponse", "functionDeclarations"),
        *("function_declarations", "toolUse", "toolResult", "tools", "toolSpec", "inputSchema"),
    }
)
"""Under these names there is text to read, or something that has it."""
_WHOLE = frozenset(
    {
        *("arguments", "args", "input", "parameters", "input_schema", "response"),
        *("parametersJsonSchema", "schema", "json"),
    }
)
"""Under these names everything is read, keys too: arguments of tools, and their schemas."""


class SeenText:
    """How much text was seen; only its size is kept."""

    def __init__(self) -> None:
        self._wide = 0
        self._other = 0

    @property
    def tokens(self) -> int:
        """The estimate; 0 where no text was seen."""
        return -(-(_PER_20_WIDE * self._wide + _PER_20_OTHER * self._other) // 20)

    def add(self, value: object) -> None:
        """Count a text, or those inside an object or a list, wherever text is expected in it."""
        if not value:
            return
        waiting: list[tuple[object, bool]] = [(value, False)]
        while waiting:
            found, whole = waiting.pop()
            if isinstance(found, str):
                self._count(found)
            elif isinstance(found, list | tuple):
                waiting.extend((item, whole) for item in found)
            elif isinstance(found, Mapping):
                for name, inner in found.items():
                    if whole and isinstance(name, str):
                        self._count(name)
                    if whole or name in _WHOLE or name in _TEXTS:
                        waiting.append((inner, whole or name in _WHOLE))

    def _count(self, text: str) -> None:
        wide = 0 if text.isascii() else sum(map(len, _EAST_ASIAN.findall(text)))
        self._wide += wide
        self._other += len(text) - wide


def of_request(request: Mapping[str, Any]) -> int:
    """Tokens of a request's messages and tools, estimated; 0 where it has no text."""
    seen = SeenText()
    for name in _OF_A_REQUEST:
        seen.add(request.get(name))
    return seen.tokens
