"""Streams put together: what the events have said so far, as the body they would have made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream.usage._bedrock import METRICS
from spendstream.usage._estimate import SeenText
from spendstream.usage._numbers import mapping

_CONVERSE = frozenset(
    {
        *("messageStart", "contentBlockStart", "contentBlockDelta"),
        *("contentBlockStop", "messageStop", "metadata"),
    }
)
_ENVELOPE = (
    *("id", "model", "object", "service_tier", "serviceTier", "error", "status"),
    *("modelVersion", "responseId", "generation_id"),
)


class Assembly:
    """The body so far, and the size of the text seen.

    ``opening``: the counts are those that a stream began with, of the prompt only. ``ended``: the
    provider has said that the answer is whole.
    """

    def __init__(self) -> None:
        self.body: dict[str, Any] = {}
        self.answer = SeenText()
        self.reasoning = SeenText()
        self.opening = False
        self.ended = False

    def take(self, chunk: Mapping[str, Any], event: str | None) -> None:
        """Take in one event, of whatever dialect."""
        event = event if isinstance(event, str) else ""
        kind = str(chunk["type"]) if isinstance(chunk.get("type"), str) else event
        if METRICS in chunk:
            self.body[METRICS] = chunk[METRICS]
            self.ended = True
        if kind.endswith("Exception"):
            self.body["error"] = {"type": kind}
        elif "choices" in chunk:
            self._chat(chunk)
        elif kind.startswith("response."):
            self._responses(kind, chunk)
        elif kind in _MESSAGES:
            self._messages(kind, chunk)
        elif kind in _COHERE:
            self._cohere(kind, chunk)
        elif event in _CONVERSE:
            self._converse(event, chunk)
        elif not _CONVERSE.isdisjoint(chunk):
            for name in _CONVERSE.intersection(chunk):
                self._converse(name, mapping(chunk[name]))
        elif "candidates" in chunk or "usageMetadata" in chunk:
            self._gemini(chunk)
        else:
            self._chat(chunk)

    def _keep(self, chunk: Mapping[str, Any]) -> None:
        self.body.update({n: chunk[n] for n in _ENVELOPE if chunk.get(n) is not None})

    def _count(self, usage: object) -> bool:
        if usage is None:
            return False
        self.body["usage"] = usage
        return True

    def _chat(self, chunk: Mapping[str, Any]) -> None:
        self._keep(chunk)
        groq = mapping(chunk.get("x_groq"))
        choices = _objects(chunk.get("choices"))
        counts = self._count(chunk.get("usage")) or self._count(groq.get("usage"))
        if any(c.get("finish_reason") is not None for c in choices) or (counts and not choices):
            self.ended = True
        if groq.get("error"):
            self.body["error"] = groq["error"]
        for choice in choices:
            delta = mapping(choice.get("delta"))
            self.answer.add(choice.get("text"))
            self._content(delta.get("content"))
            self.reasoning.add(delta.get("reasoning_content") or delta.get("reasoning"))
            self.answer.add(delta.get("refusal"))
            self.answer.add(delta.get("tool_calls"))
            self.answer.add(mapping(delta.get("audio")).get("transcript"))

    def _content(self, content: object) -> None:
        """Text, or Mistral's parts, of which some are thoughts."""
        for item in content if isinstance(content, list) else [content]:
            thinks = isinstance(item, Mapping) and item.get("type") == "thinking"
            (self.reasoning if thinks else self.answer).add(item)

    def _responses(self, kind: str, chunk: Mapping[str, Any]) -> None:
        response = mapping(chunk.get("response"))
        self._keep(response)
        if self._count(response.get("usage")):
            self.ended = True
        if kind.endswith(".delta") and not kind.endswith("audio.delta"):
            (self.reasoning if "reasoning" in kind else self.answer).add(chunk.get("delta"))

    def _messages(self, kind: str, chunk: Mapping[str, Any]) -> None:
        if kind == "message_start":
            message = mapping(chunk.get("message"))
            self._keep(message)
            self.body["type"] = "message"
            self.opening = self._count(message.get("usage"))
        elif kind == "message_delta":
            self._running(chunk.get("usage"))
            if mapping(chunk.get("delta")).get("stop_reason") is not None:
                self.ended = True
        elif kind == "error":
            self.body["error"] = chunk.get("error") or {"code": chunk.get("code"), "type": "error"}
        else:
            delta = mapping(chunk.get("delta"))
            self.reasoning.add(delta.get("thinking"))
            self.answer.add(delta.get("text"))
            self.answer.add(delta.get("partial_json"))
            block = mapping(chunk.get("content_block"))
            if not str(block.get("type")).endswith("_result"):
                self.answer.add(block)

    def _running(self, usage: object) -> None:
        """A message_delta counts everything so far anew; what it leaves out is as it was."""
        if usage is None:
            return
        before = self.body.get("usage")
        if isinstance(usage, Mapping) and isinstance(before, Mapping):
            said = {name: value for name, value in usage.items() if value is not None}
            # A count that has grown is no longer what its parts of before add up to.
            grown = said.get(_WRITTEN, before.get(_WRITTEN)) != before.get(_WRITTEN)
            kept = {n: v for n, v in before.items() if not (grown and n == "cache_creation")}
            self.body["usage"] = kept | said
        else:
            self.body["usage"] = usage
        self.opening = False

    def _cohere(self, kind: str, chunk: Mapping[str, Any]) -> None:
        self._keep(chunk)
        delta = mapping(chunk.get("delta"))
        if kind == "message-end":
            self._count(delta.get("usage"))
            self.ended = True
        message = mapping(delta.get("message"))
        content = mapping(message.get("content"))
        self.reasoning.add(content.get("thinking"))
        self.answer.add(content.get("text"))
        self.answer.add(message.get("tool_plan"))
        self.answer.add(message.get("tool_calls"))

    def _converse(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._keep(payload)
        if kind == "metadata":
            self.ended = self._count(payload.get("usage")) or self.ended
        delta = mapping(payload.get("delta"))
        self.reasoning.add(mapping(delta.get("reasoningContent")).get("text"))
        self.answer.add(delta.get("text"))
        self.answer.add(mapping(delta.get("toolUse")).get("input"))
        self.answer.add(mapping(payload.get("start")))

    def _gemini(self, chunk: Mapping[str, Any]) -> None:
        self._keep(chunk)
        if chunk.get("usageMetadata") is not None:
            self.body["usageMetadata"] = chunk["usageMetadata"]
        for candidate in _objects(chunk.get("candidates")):
            if candidate.get("finishReason") is not None:
                self.ended = True
            for found in _objects(mapping(candidate.get("content")).get("parts")):
                (self.reasoning if found.get("thought") is True else self.answer).add(found)


_WRITTEN = "cache_creation_input_tokens"
_MESSAGES = frozenset(
    {
        *("message_start", "message_delta", "message_stop", "ping", "error"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
    }
)
_COHERE = frozenset(
    {
        *("message-start", "message-end", "content-start", "content-delta", "content-end"),
        *("tool-plan-delta", "tool-call-start", "tool-call-delta", "tool-call-end"),
        *("citation-start", "citation-end"),
    }
)


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
