"""The attempts of one request, told apart in what LiteLLM says about them."""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from spendstream._event import new_event_id

KEY = "spendstream"
"""Where a request's ticket is, in its metadata and on its logging object."""
_METADATA = ("litellm_metadata", "metadata")
"""The newer endpoints of the proxy use the first, as the caller's own metadata has the second."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a deployment, which is named where LiteLLM has said which.

    ``began``: seconds since 1970. ``mark``: see `Ticket.begin`.
    """

    number: int
    event_id: str
    retry_of: str | None
    began: float
    mark: object = None
    provider: str | None = None
    model: str | None = None


class Ticket(str):
    """One request: what was asked for, what was decided, and its attempts.

    It travels in the request's metadata, and is text there for everyone else.

    Copies of the metadata, which retries and fallbacks make, all have this very ticket. The ids of
    its events follow from it and the attempt's number, so nothing that LiteLLM tells twice counts
    twice; and not from LiteLLM's call id, which a client may choose, and choose twice.

    ``prompt``: what is hashed. ``answered_model``: the name that the deployment gave itself.
    ``counted``: the counts of a broken stream that are on an event already. ``flight``: of
    identical requests, the one that this leads. ``routed``: what a shadow call needs to know.
    ``shadow_of``: the event of the call that this one is compared with. ``name`` takes the place of
    an id made up here.
    """

    def __new__(cls, *_: object, name: str | None = None) -> Ticket:
        return super().__new__(cls, name or new_event_id())

    def __init__(
        self,
        requested_model: str | None = None,
        prompt: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.requested_model = requested_model
        self.prompt = prompt
        self.tier: str | None = None
        self.reason: str | None = None
        self.answered_model: str | None = None
        self.flight: Any = None
        self.routed: Any = None
        self.shadow_of: str | None = None
        self.counted: object = None
        self._number = 0
        self._last: str | None = None
        self._open: Attempt | None = None
        self._succeeded = False

    def __copy__(self) -> Ticket:
        return self

    def __deepcopy__(self, memo: object) -> Ticket:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)

    @property
    def attempts(self) -> int:
        """How many attempts have begun."""
        return self._number

    def begin(
        self, mark: object, provider: str | None = None, model: str | None = None
    ) -> Attempt | None:
        """A deployment is called. Returns the attempt before, where LiteLLM did not say its end.

        ``mark``: what LiteLLM counts in retries and fallbacks. The same mark again is a call inside
        of the attempt, as where one endpoint is served by another.
        """
        before = self._open
        if before is not None and before.mark == mark:
            return None
        self.answered_model = None
        self._open = self._next(mark, provider, model)
        return before

    def end(self, *, succeeded: bool) -> Attempt | None:
        """The attempt that has ended; None where its end was told before.

        Where no attempt has begun, as LiteLLM's synchronous calls do not say so, it is a new one.
        """
        if self._succeeded:
            return None
        ended = self._open
        if ended is None and (self._number == 0 or succeeded):
            ended = self._next()
        self._open = None
        self._succeeded = succeeded
        return ended

    def _next(
        self, mark: object = None, provider: str | None = None, model: str | None = None
    ) -> Attempt:
        self._number += 1
        event_id = f"{self}-{self._number}"
        now = time.time()
        attempt = Attempt(self._number, event_id, self._last, now, mark, provider, model)
        self._last = event_id
        return attempt


def metadata_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata that LiteLLM has completed: of a request, or of what a callback is told.

    Of several the one with the ticket: LiteLLM puts another one beside it where a client goes away.
    """
    parameters = said.get("litellm_params")
    found: dict[str, Any] | None = None
    for source in (parameters, said) if isinstance(parameters, dict) else (said,):
        for name in _METADATA:
            metadata = source.get(name)
            if isinstance(metadata, dict):
                if isinstance(metadata.get(KEY), Ticket):
                    return metadata
                found = found or metadata
    return {} if found is None else found


def ticket_of(said: Mapping[str, Any]) -> Ticket | None:
    """The ticket of a request, from anything that LiteLLM tells of it."""
    logging_object = said.get("litellm_logging_obj")
    details = getattr(logging_object, "model_call_details", None) or said
    for source in (metadata_of(said), details):
        found = source.get(KEY)
        if isinstance(found, Ticket):
            return found
    return None


def attach(ticket: Ticket, said: Mapping[str, Any]) -> None:
    """Give a request its ticket, wherever callbacks may look for it."""
    metadata = metadata_of(said)
    metadata[KEY] = ticket
    details = getattr(said.get("litellm_logging_obj"), "model_call_details", None)
    if isinstance(details, MutableMapping):
        details[KEY] = ticket
    elif isinstance(said, MutableMapping) and "litellm_params" in said:
        said[KEY] = ticket


def mark_of(said: Mapping[str, Any]) -> object:
    """What changes from one attempt at a request to the next."""
    metadata = metadata_of(said)
    counts = ("request_retry_count", "attempted_retries", "attempted_fallbacks")
    information = metadata.get("model_info")
    deployment = information.get("id") if isinstance(information, Mapping) else said.get("model")
    return (*(metadata.get(name) for name in counts), deployment)
