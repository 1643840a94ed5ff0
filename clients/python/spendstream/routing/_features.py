"""What is counted in a request, in the caller's process: numbers only, no text leaves it.

A request is the body of a chat call: `messages` (OpenAI, Anthropic, LiteLLM), `input` and
`instructions` (OpenAI Responses), `system` (Anthropic) or `prompt`. What cannot be read counts as
not there: a request of an unknown shape is routed by what is known of it, and never refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import log1p
from typing import Any

LOOKED_AT = 2_000
"""Characters of the question that words and digits are counted in, its last ones: counting all of
a pasted book would cost the caller milliseconds."""

FEATURES: Mapping[str, str] = {
    "messages": "messages in the request",
    "prompt_characters": "characters of all texts, the system prompt included",
    "system_characters": "characters of the system prompt",
    "question_characters": "characters of the last message by the user",
    "code_fences": "``` in the question",
    "question_marks": "question marks in the question",
    "question_words": "how, what, when, where, which, who, why in the question",
    "reasoning_words": "analyse, compare, debug, derive, design, explain, plan, prove, refactor, "
    "solve and their kin in the question",
    "digits": "digits in the question",
    "lines": "line breaks in the question",
    "images": "images in all messages",
    "tools": "tools that the model may call",
    "structured_output": "1 where the answer must be JSON",
    "max_output_tokens": "most tokens of the answer; 0 where the request does not say",
    "max_output_tokens_said": "1 where the request says it",
}
"""Name → what is counted. Words are English; the question is looked at in its last characters."""

_QUESTION_WORDS = frozenset({"how", "what", "when", "where", "which", "who", "why"})
_REASONING_WORDS = frozenset(
    {
        *("analyse", "analyze", "architecture", "compare", "debug", "derive", "design", "evaluate"),
        *("explain", "optimise", "optimize", "plan", "proof", "prove", "reason", "refactor"),
        *("solve", "strategy", "tradeoff", "tradeoffs"),
    }
)
_WORDS = re.compile("[a-z]+")
_SYSTEM = ("system", "developer")
_IMAGES = ("image", "image_url", "input_image")
_TEXTS = ("text", "input_text", "output_text")
_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


class Counts:
    """The counts of one request; what rules ask is counted at once, what the model asks later."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._question = ""
        self.messages = 0
        self.prompt_characters = 0
        self.system_characters = 0
        self.images = 0
        for role, content in _messages(request):
            self._count(role, content)
        tools = request.get("tools") or request.get("functions")
        self.tools = len(tools) if isinstance(tools, list | tuple) else 0
        self.structured_output = _is_structured(request)
        self.max_output_tokens = next(
            (limit for name in _LIMITS if _is_count(limit := request.get(name))), None
        )

    @cached_property
    def features(self) -> dict[str, float]:
        """Every feature of `FEATURES`: counts as ln(1 + count), so that lengths compare."""
        asked = self._question[-LOOKED_AT:]
        words = _WORDS.findall(asked.lower())
        counts = {
            "messages": self.messages,
            "prompt_characters": self.prompt_characters,
            "system_characters": self.system_characters,
            "question_characters": len(self._question),
            "code_fences": asked.count("```"),
            "question_marks": asked.count("?"),
            "question_words": len([word for word in words if word in _QUESTION_WORDS]),
            "reasoning_words": len([word for word in words if word in _REASONING_WORDS]),
            "digits": sum(map(asked.count, "0123456789")),
            "lines": asked.count("\n"),
            "images": self.images,
            "tools": self.tools,
            "max_output_tokens": self.max_output_tokens or 0,
        }
        switches = {
            "structured_output": float(self.structured_output),
            "max_output_tokens_said": float(self.max_output_tokens is not None),
        }
        return {name: log1p(count) for name, count in counts.items()} | switches

    def _count(self, role: object, content: object) -> None:
        texts = []
        for kind, text in _parts(content):
            if kind in _IMAGES:
                self.images += 1
            else:
                texts.append(text)
        length = sum(map(len, texts))
        self.prompt_characters += length
        if role in _SYSTEM:
            self.system_characters += length
        elif role == "user":
            self._question = texts[0] if len(texts) == 1 else "\n".join(texts)
        if role is not None:
            self.messages += 1


def features(request: Mapping[str, Any]) -> dict[str, float]:
    """The features of a request as the linear model sees them, by the names of `FEATURES`."""
    return Counts(request).features


def _messages(request: Mapping[str, Any]) -> Iterator[tuple[object, object]]:
    """Role and content of each; the role is None where a text is no message by its own."""
    for name in ("system", "instructions"):
        yield from (("system", text) for text in (request.get(name),) if text)
    for name in ("messages", "input", "prompt"):
        found = request.get(name)
        if isinstance(found, str):
            yield "user", found
        elif isinstance(found, list | tuple):
            for message in found:
                if isinstance(message, Mapping):
                    yield message.get("role", ""), message.get("content")
                elif isinstance(message, str):
                    yield "user", message


def _parts(content: object) -> Iterator[tuple[str, str]]:
    """Kind and text of each part of a message; images have no text."""
    if isinstance(content, str):
        yield "text", content
    elif isinstance(content, list | tuple):
        for part in content:
            if isinstance(part, str):
                yield "text", part
            elif isinstance(part, Mapping):
                kind, text = part.get("type"), part.get("text")
                if kind in _IMAGES:
                    yield "image", ""
                elif kind in _TEXTS and isinstance(text, str):
                    yield "text", text


def _is_structured(request: Mapping[str, Any]) -> bool:
    asked = request.get("response_format")
    if asked is None and isinstance(text := request.get("text"), Mapping):
        asked = text.get("format")
    if isinstance(asked, Mapping):
        return asked.get("type") not in (None, "text")
    return asked is not None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
