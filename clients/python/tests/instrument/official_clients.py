"""The official clients, blocking and asynchronous, driven alike; and what they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
from scripted_api import sse

MESSAGES: Any = [{"role": "user", "content": "x" * 40}]
"""Ten tokens, by four characters a token."""


class Recorder:
    """A meter that keeps its events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def emit(self, **fields: Any) -> None:
        self.events.append(fields)

    def told(self) -> list[dict[str, Any]]:
        """The events without what differs each time; ``retry_of`` is the place in the list."""
        places = {event["event_id"]: place for place, event in enumerate(self.events)}
        told = []
        for event in self.events:
            assert event["latency_ms"] >= 0
            kept = {n: v for n, v in event.items() if n not in ("event_id", "latency_ms")}
            if "retry_of" in kept:
                kept["retry_of"] = places[kept["retry_of"]]
            assert len(kept.pop("prompt_hash")) == 32
            told.append(kept)
        return told


@dataclass(frozen=True)
class Kind:
    """One of the four clients, and how its provider speaks."""

    name: str
    make: Callable[..., Any]
    asynchronous: bool
    ok: dict[str, Any]
    """A whole answer: 12 tokens in, 3 out."""
    events: list[bytes]
    """The same, streamed; the first three hold eight characters of it."""
    failure: dict[str, Any]
    provider: str
    model: str
    request_id: str

    @property
    def asked(self) -> dict[str, Any]:
        """What the event of an attempt says that was not answered."""
        return {"provider": self.provider, "model": "m", "usage_source": "missing"}

    @property
    def answered(self) -> dict[str, Any]:
        """What the event of an answer says, apart from tokens."""
        return {
            "provider": self.provider,
            "model": self.model,
            "requested_model": "m",
            "request_id": self.request_id,
        }

    @property
    def counted(self) -> dict[str, Any]:
        """What the event of a whole answer says."""
        total = {"total_tokens": 15} if "openai" in self.name else {}
        counts = {"input_tokens": 12, "output_tokens": 3, "usage_source": "reported"}
        return {**self.answered, **counts, **total, "status": "ok", "attempt": 1}

    @property
    def partly(self) -> dict[str, Any]:
        """What the event says of an answer that was cut off after three events."""
        prompt = 10 if "openai" in self.name else 12
        counts = {"input_tokens": prompt, "output_tokens": 2, "usage_source": "estimated"}
        return {**self.answered, **counts, "attempt": 1}

    @property
    def items(self) -> int:
        """What the client makes of the first three events."""
        return 3 if "openai" in self.name else 4

    def client(self, url: str, **options: Any) -> Any:
        """A client of the server there."""
        base = f"{url}/v1" if "openai" in self.name else url
        return self.make(api_key="key", base_url=base, **{"max_retries": 2, **options})

    def ask(self, client: Any, stream: bool = False, take: int | None = None) -> str:
        """Make one call; the text, as far as it came, and the name of the error, if any."""
        if self.asynchronous:
            return asyncio.run(self._ask_async(client, stream, take))
        text = ""
        try:
            answer = self.create(client, stream)
            if not stream:
                return self._text(answer)
            with answer:
                for number, item in enumerate(answer, start=1):
                    text += self._text(item)
                    if number == take:
                        break
        except (openai.OpenAIError, anthropic.AnthropicError, OSError) as error:
            return f"{text}{type(error).__name__}"
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "httpx2":
                raise
            return f"{text}{type(error).__name__}"
        return text

    async def _ask_async(self, client: Any, stream: bool, take: int | None) -> str:
        text = ""
        try:
            answer = await self.create(client, stream)
            if not stream:
                return self._text(answer)
            async with answer:
                number = 0
                async for item in answer:
                    text += self._text(item)
                    number += 1
                    if number == take:
                        break
        except (openai.OpenAIError, anthropic.AnthropicError, OSError) as error:
            return f"{text}{type(error).__name__}"
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "httpx2":
                raise
            return f"{text}{type(error).__name__}"
        finally:
            await client.close()
        return text

    def create(self, client: Any, stream: bool = False) -> Any:
        if "openai" in self.name:
            return client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
        return client.messages.create(model="m", messages=MESSAGES, max_tokens=9, stream=stream)

    def _text(self, said: Any) -> str:
        if "openai" in self.name:
            choice = said.choices[0] if said.choices else None
            found = getattr(choice, "message", None) or getattr(choice, "delta", None)
            return str(getattr(found, "content", None) or "")
        if hasattr(said, "content"):
            return str(said.content[0].text)
        return str(getattr(getattr(said, "delta", None), "text", ""))


def _chunk(choices: list[Any], usage: Any = None) -> bytes:
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x-1"}
    return sse({**body, "choices": choices, "usage": usage})


def _choice(content: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": content}, "finish_reason": finish}


OPENAI_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
OPENAI_OK = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x-1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "abcdefgh"},
            "finish_reason": "stop",
        }
    ],
    "usage": OPENAI_USAGE,
}
OPENAI_EVENTS = [
    _chunk([_choice("")]),
    _chunk([_choice("abcd")]),
    _chunk([_choice("efgh")]),
    _chunk([_choice(None, "stop")]),
    _chunk([], OPENAI_USAGE),
    sse("[DONE]"),
]
OPENAI_FAILURE = {
    "error": {"message": "no", "type": "server_error", "code": "overloaded", "param": None}
}

_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x-1",
    "stop_sequence": None,
}
ANTHROPIC_OK = {
    **_MESSAGE,
    "content": [{"type": "text", "text": "abcdefgh"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 12, "output_tokens": 3},
}
ANTHROPIC_EVENTS = [
    sse(
        {
            "type": "message_start",
            "message": {
                **_MESSAGE,
                "content": [],
                "stop_reason": None,
                "usage": {"input_tokens": 12, "output_tokens": 1},
            },
        },
        "message_start",
    )
    + sse(
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        "content_block_start",
    ),
    *(
        sse(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": text},
            },
            "content_block_delta",
        )
        for text in ("abcd", "efgh")
    ),
    sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
    + sse(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        "message_delta",
    ),
    sse({"type": "message_stop"}, "message_stop"),
]
ANTHROPIC_FAILURE = {"type": "error", "error": {"type": "overloaded", "message": "no"}}

_OPENAI = (OPENAI_OK, OPENAI_EVENTS, OPENAI_FAILURE, "openai", "gpt-x-1", "chatcmpl-1")
_ANTHROPIC = (ANTHROPIC_OK, ANTHROPIC_EVENTS, ANTHROPIC_FAILURE, "anthropic", "claude-x-1", "msg_1")

KINDS = [
    Kind("openai", openai.OpenAI, False, *_OPENAI),
    Kind("openai, async", openai.AsyncOpenAI, True, *_OPENAI),
    Kind("anthropic", anthropic.Anthropic, False, *_ANTHROPIC),
    Kind("anthropic, async", anthropic.AsyncAnthropic, True, *_ANTHROPIC),
]
