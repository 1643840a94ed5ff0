"""A provider that counts for itself: speaks OpenAI's and Anthropic's API, and fails by plan.

What is to happen is the last message of a request, such as ``stream_429:team-1:u-01:5``: the plan,
for whom, and a number. A plan with ``429``, ``500`` or ``refused`` fails at the first attempt.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

FAILURES = {"429": "rate_limited", "500": "error"}


@dataclass(frozen=True, slots=True, order=True)
class Counted:
    """What calls that are billed alike have in common."""

    team: str
    user: str
    model: str
    status: str
    attempt: int


@dataclass
class Totals:
    """What the provider has counted: calls, tokens by bucket, and streams that it cut."""

    calls: Counter[Counted] = field(default_factory=Counter)
    tokens: dict[str, Counter[Counted]] = field(default_factory=dict)
    cut: int = 0

    def add(self, key: Counted, **tokens: int) -> None:
        self.calls[key] += 1
        for bucket, count in tokens.items():
            self.tokens.setdefault(bucket, Counter())[key] += count


class Upstream:
    """Runs in a thread of its own, on a free port of loopback."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.models: dict[str, list[str]] = {}
        self.gate: asyncio.Event | None = None
        self._attempts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._stopping: asyncio.Event | None = None
        self._up = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(20), "the upstream did not start"

    def stop(self) -> None:
        stopping = self._stopping
        if stopping is not None:
            self._loop.call_soon_threadsafe(stopping.set)
        self._thread.join(20)

    def attempts(self, content: str) -> int:
        """How often this very prompt was asked for."""
        return self._attempts[content]

    def hold(self) -> None:
        """Answer no ``held`` call until `release`."""
        self._loop.call_soon_threadsafe(setattr, self, "gate", asyncio.Event())

    def release(self) -> None:
        if self.gate is not None:
            self._loop.call_soon_threadsafe(self.gate.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/messages", self._messages)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._up.set()
        await self._stopping.wait()
        await runner.cleanup()

    def _asked(self, body: dict[str, Any]) -> tuple[str, str, str, int, int]:
        content = body["messages"][-1]["content"]
        if not isinstance(content, str):
            content = content[0]["text"]
        plan, team, user, number = content.split(":")
        self._attempts[content] += 1
        self.models.setdefault(team, []).append(body["model"])
        return plan, team, user, int(number), self._attempts[content]

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        plan, team, user, number, attempt = self._asked(body)
        model = body["model"]

        def key(status: str) -> Counted:
            return Counted(team, user, model, status, attempt)

        if plan == "held" and self.gate is not None:
            await self.gate.wait()
        for code, status in FAILURES.items():
            once = plan.endswith(f"_{code}") and attempt == 1
            if once or plan == f"always_{code}" or (plan == "fallback" and "large" in model):
                self.totals.add(key(status))
                error = {"message": "not now", "type": "server", "code": code}
                return web.json_response(
                    {"error": error}, status=int(code), headers={"retry-after": "0"}
                )
        cached, reasoning = 30 + number % 7, number % 5
        prompt, answer = 100 + number % 991, 20 + number % 83
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": answer,
            "total_tokens": prompt + answer,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
        said = {"id": f"chatcmpl-{number}-{attempt}", "created": 1700000000, "model": model}
        if not body.get("stream"):
            self._count_openai(key("ok"), prompt, answer, cached, reasoning)
            message = {"role": "assistant", "content": "hi"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {**said, "object": "chat.completion", "choices": [choice], "usage": usage}
            return web.json_response(whole)
        response = await _stream(request)
        said["object"] = "chat.completion.chunk"
        for word in range(4):
            delta = {"role": "assistant", "content": f"word{word} "}
            await _data(response, {**said, "choices": [_choice(delta, None)]})
            if plan in ("left", "broken") and self.gate is not None:
                await self.gate.wait()
            if plan == "broken" or (plan == "cut" and word == 2):
                self.totals.add(key("error"))
                self.totals.cut += plan == "cut"
                assert request.transport is not None
                request.transport.close()
                return response
        await _data(response, {**said, "choices": [_choice({}, "stop")]})
        assert (body.get("stream_options") or {}).get("include_usage"), "usage was not asked for"
        self._count_openai(key("ok"), prompt, answer, cached, reasoning)
        await _data(response, {**said, "choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    def _count_openai(
        self, key: Counted, prompt: int, answer: int, cached: int, reasoning: int
    ) -> None:
        self.totals.add(
            key,
            input_tokens=prompt - cached,
            cache_read_tokens=cached,
            output_tokens=answer - reasoning,
            reasoning_tokens=reasoning,
        )

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        _, team, user, number, attempt = self._asked(body)
        short, long = number % 11, number % 13
        usage = {
            "input_tokens": 50 + number % 97,
            "cache_read_input_tokens": number % 2003,
            "cache_creation_input_tokens": short + long,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short,
                "ephemeral_1h_input_tokens": long,
            },
            "output_tokens": 10 + number % 41,
        }
        self.totals.add(
            Counted(team, user, body["model"], "ok", attempt),
            input_tokens=usage["input_tokens"],
            cache_read_tokens=usage["cache_read_input_tokens"],
            cache_write_5m_tokens=short,
            cache_write_1h_tokens=long,
            output_tokens=usage["output_tokens"],
            reasoning_tokens=0,
        )
        said = {"id": f"msg_{number}", "type": "message", "role": "assistant"}
        said |= {"model": body["model"], "stop_sequence": None}
        if not body.get("stream"):
            content = [{"type": "text", "text": "hello"}]
            whole = {**said, "content": content, "stop_reason": "end_turn", "usage": usage}
            return web.json_response(whole)
        response = await _stream(request)
        began = {**said, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        parts: list[dict[str, Any]] = [
            {"type": "message_start", "message": began},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "hello"},
            },
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": usage["output_tokens"]},
            },
            {"type": "message_stop"},
        ]
        for part in parts:
            await response.write(f"event: {part['type']}\n".encode())
            await _data(response, part)
        return response


def _choice(delta: dict[str, str], reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    return response


async def _data(response: web.StreamResponse, part: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(part)}\n\n".encode())
