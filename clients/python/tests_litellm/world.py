"""The proxy, the provider behind it and the meter beside it, and how calls are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from running import Proxy, Stack
from upstream import Upstream

BUCKETS = (
    *("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
    *("output_tokens", "reasoning_tokens"),
)


@dataclass
class World:
    upstream: Upstream
    stack: Stack
    proxy: Proxy
    hook_times: Path


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


async def ask(
    session: aiohttp.ClientSession,
    plan: str,
    team: str,
    number: int,
    *,
    user: int = 0,
    model: str | None = None,
    **more: Any,
) -> Answer:
    """One call. The model follows from the plan, unless it is given."""
    native = plan.startswith("native")
    if model is None:
        claude = native or plan.startswith("claude")
        large = plan == "fallback" or (number % 3 == 0 and plan in ("ok", "stream"))
        model = "claude" if claude else "large" if large else "small"
    content = f"{plan}:{team}:u-{user}:{number}"
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}]}
    if "stream" in plan or plan == "cut":
        body["stream"] = True
    if native:
        body["max_tokens"] = 100
    path = "/v1/messages" if native else "/v1/chat/completions"
    headers = {"authorization": f"Bearer sk-{team}-u-{user}"}
    async with session.post(path, json=body | more, headers=headers) as response:
        try:
            text = await response.text()
        except aiohttp.ClientPayloadError:  # a stream that was cut, handed on
            text = ""
        return Answer(response.status, response.headers, text)


def spent(world: World, team: str) -> int:
    """Tokens that the provider has counted for a team."""
    counts = list(world.upstream.totals.tokens.values())
    return sum(n for counted in counts for key, n in counted.items() if key.team == team)


def tokens_of(world: World, team: str) -> int:
    total = " + ".join(f"ifNull(sum({name}), 0)" for name in BUCKETS)
    (row,) = world.stack.sql(f"SELECT {total} AS n FROM usage WHERE team = '{team}'")
    return int(row["n"])
