"""Shadow calls: a share of the calls to dear models goes to a cheaper tier as well, to compare.

They are made behind the answer, and nobody waits for them. Which calls, and to which group, says
the section ``routing.shadow`` of the tiers file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spendstream.litellm._ticket import KEY, Ticket
from spendstream.routing import Choice, Router

_log = logging.getLogger("spendstream")

AT_ONCE = 32
"""Of one process; a call beyond them is not compared, so that a slow model holds up nothing."""
_WHOSE = ("tags", "requester_metadata")
_KEYS = "user_api_key"
"""What begins so, LiteLLM knows of the key: the copy is billed to whom the call is."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A chat that the router has judged. ``request``: what is sent to a model, and nothing else."""

    request: Mapping[str, Any]
    who: Mapping[str, Any]
    choice: Choice


class Shadows:
    """``call`` asks a model group of the proxy, as `litellm.Router.acompletion` does."""

    def __init__(self, router: Router, call: Callable[..., Awaitable[Any]]) -> None:
        self._router = router
        self._call = call
        self._under_way: set[asyncio.Task[None]] = set()

    def follow(self, event_id: str, routed: Routed, metadata: Mapping[str, Any]) -> None:
        """Compare an answered call, if it is one of the share. ``event_id``: of its event."""
        shadow = self._router.shadow_call(event_id, routed.request, routed.who, routed.choice)
        if shadow is None or len(self._under_way) >= AT_ONCE:
            return
        ticket = Ticket(shadow.request["model"], name=shadow.fields["event_id"])
        ticket.shadow_of = event_id
        ticket.tier = shadow.fields["routing_tier"]
        ticket.reason = shadow.fields["routing_reason"]
        whose = {n: v for n, v in metadata.items() if n in _WHOSE or n.startswith(_KEYS)}
        made = self._make({**shadow.request, "metadata": {**whose, KEY: ticket}})
        task = asyncio.get_running_loop().create_task(made)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _make(self, request: Mapping[str, Any]) -> None:
        try:
            # Where the cheaper group fails, nobody needs the answer of another one.
            await self._call(**request, disable_fallbacks=True)
        except Exception as error:  # noqa: BLE001 - its attempts are events, with what went wrong
            _log.debug("a shadow call failed: %s", error)
