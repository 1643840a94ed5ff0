"""The leading part of a prompt that stays the same from call to call: what a provider could keep.

Of a request that is tools, system prompt, instructions, and the first messages of a system or of a
developer. Examples that an application puts in front of each conversation look like any other
message; who sends them knows better, and says it to `emit`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spendstream._fields import PROMPT_BUCKETS

HASH_DIGITS = 32
"""Hexadecimal digits of a hash: 128 bits, so that two prompts never share one."""
_ALWAYS = ("tools", "functions", "system", "instructions")
_SPEAKERS = frozenset({"system", "developer"})
_TURNS = ("messages", "input")
_ELSEWHERE = ("previous_response_id", "conversation")
"""With these the provider has more of the prompt than the request shows."""
_NO_TEXT = ("image", "audio", "video", "file", "document")


@dataclass(frozen=True, slots=True)
class Prefix:
    """``hash``: the first 32 hexadecimal digits of SHA-256 over its canonical JSON (sorted keys, no
    white space, ASCII). It has ``characters`` of the ``of`` that the prompt has as JSON; None where
    they say nothing of tokens: images and files, or a conversation that the provider keeps.
    """

    hash: str
    characters: int | None
    of: int

    def tokens(self, fields: Mapping[str, Any]) -> int | None:
        """Its tokens by the share of characters, rounded down; None where that is not known.

        ``fields``: the event's, with the token buckets of the prompt.
        """
        prompt = [fields[name] for name in PROMPT_BUCKETS if fields.get(name) is not None]
        if not prompt or self.characters is None:
            return None
        return int(sum(prompt) * self.characters // self.of)


def prefix_of(request: Mapping[str, Any]) -> Prefix | None:
    """What stays of a request's prompt; None where nothing of it is known to.

    Raises TypeError or ValueError where it holds what is no JSON.
    """
    stays: dict[str, Any] = {name: request[name] for name in _ALWAYS if request.get(name)}
    turns = list(_turns(request))
    leading = 0
    while leading < len(turns) and _speaker(turns[leading]) in _SPEAKERS:
        leading += 1
    if leading:
        stays["messages"] = turns[:leading]
    if not stays:
        return None
    digest = hashlib.sha256(_canonical(stays).encode()).hexdigest()[:HASH_DIGITS]
    if any(request.get(name) is not None for name in _ELSEWHERE) or any(map(_has_no_text, turns)):
        return Prefix(digest, None, 0)
    always = sum(len(_canonical(stays[name])) for name in _ALWAYS if name in stays)
    sizes = [len(_canonical(turn)) for turn in turns]
    return Prefix(digest, always + sum(sizes[:leading]), always + sum(sizes))


def _turns(request: Mapping[str, Any]) -> Iterator[Any]:
    for name in (*_TURNS, "prompt"):
        said = request.get(name)
        if isinstance(said, Sequence) and not isinstance(said, str):
            yield from said
        elif said:
            yield said


def _speaker(turn: Any) -> Any:
    return turn.get("role") if isinstance(turn, Mapping) else None


def _has_no_text(turn: Any) -> bool:
    """Whether a message has a part whose characters say nothing of its tokens."""
    content = turn.get("content") if isinstance(turn, Mapping) else None
    parts = content if isinstance(content, list) else []
    kinds = [part.get("type") for part in parts if isinstance(part, Mapping)]
    return any(word in kind for kind in kinds if isinstance(kind, str) for word in _NO_TEXT)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
