"""One line that meters the official OpenAI and Anthropic clients: `instrument`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, Unpack

from spendstream._attribution import AttributionFields, attribution, current_attribution
from spendstream._instrument_attempt import RETRY_COUNT, Attempt, Faults
from spendstream._instrument_calls import asking_for_usage, is_call, provider_of_host, read_call
from spendstream._instrument_transport import Layer, Metered
from spendstream.usage import provider_name

_log = logging.getLogger("spendstream")

_Client = TypeVar("_Client")
_NOT_YET = ("AnthropicBedrock", "AnthropicVertex")
"""These send neither the model nor the paths of Anthropic's own API."""


class Emits(Protocol):
    """An `Emitter`, an `AsyncEmitter`, or whatever else takes the fields of events."""

    def emit(self, **fields: Any) -> object:
        """Take one event."""


def instrument(
    client: _Client,
    meter: Emits,
    *,
    provider: str | None = None,
    include_usage: bool = False,
    **attribution: Unpack[AttributionFields],
) -> _Client:
    """Meter every HTTP attempt of an OpenAI or Anthropic client; returns the same client.

    ``client``: ``openai.OpenAI``, ``anthropic.Anthropic``, their Azure and asynchronous kin; what
    it was copied to shares its connections, and so its metering. ``provider``: who bills, where the
    host does not tell. ``include_usage``: have streamed chats end with their usage: the caller then
    sees one chunk more, without choices. ``attribution``: whose the calls are; what an
    `attribution` block around a call says wins over it.

    A client that is metered already is metered by these settings from now on. Raises TypeError for
    what is no such client, and ValueError for a wrong name or value in ``attribution``. Calls of
    the client raise nothing of ours.
    """
    http = http_client_of(client, "instrument")
    metering = _Metering(meter, provider, _fallback(client), include_usage, attribution)
    replace_transports(http, lambda transport: _metered(transport, metering.begin))
    return client


def uninstrument(client: _Client) -> _Client:
    """Take the metering off again, also from clients that it was copied to; returns the client."""
    replace_transports(http_client_of(client, "uninstrument"), _unmetered)
    return client


def http_client_of(client: object, caller: str) -> Any:
    """The httpx client inside an SDK's client. Raises TypeError where there is none."""
    http = getattr(client, "_client", None)
    kind = type(client).__name__
    if kind.removeprefix("Async") in _NOT_YET:
        raise TypeError(f"{caller}: {kind} is not metered yet; use read_usage and emit instead")
    if not hasattr(http, "_transport") or not hasattr(http, "_mounts"):
        raise TypeError(f"{caller}: {kind} is no client of the openai or the anthropic package")
    return http


class _Metering:
    """How the calls of one client are metered."""

    def __init__(
        self,
        meter: Emits,
        provider: str | None,
        fallback: str | None,
        include_usage: bool,
        standing: AttributionFields,
    ) -> None:
        self._meter = meter
        self._provider = provider_name(provider) if provider is not None else None
        self._fallback = fallback
        self._include_usage = include_usage
        attribution(**standing)  # Raises ValueError where a name or a value is wrong.
        self._standing = {name: value for name, value in standing.items() if value is not None}
        self._providers: dict[str, str] = {}
        self._faults = Faults()

    def begin(self, request: Any) -> tuple[Any, Attempt | None]:
        """The request to send, and the attempt; None for what is no call. Never raises."""
        try:
            return self._begun(request)
        except Exception:  # noqa: BLE001 - counted and logged; the call goes out unmetered
            self._faults.add("begin")
            return request, None

    def _begun(self, request: Any) -> tuple[Any, Attempt | None]:
        path = request.url.path
        if not is_call(request.method, path):
            return request, None
        call = read_call(self._provider_of(request.url.host), path, _body(request))
        if self._include_usage:
            asking = asking_for_usage(call, path)
            request = request if asking is None else _with_body(request, asking)
        before = request.headers.get(RETRY_COUNT, "0")
        who = _merged(self._standing, current_attribution())
        count = int(before) if before.isdecimal() else 0
        return request, Attempt(call, count, who, self._meter.emit, self._faults)

    def _provider_of(self, host: str) -> str:
        if self._provider is not None:
            return self._provider
        known = self._providers.get(host)
        if known is None:
            known = provider_of_host(host) or self._fallback
            if known is None:
                known = host
                _log.warning(
                    "who bills for calls to %s is not known: they are metered under that name, and "
                    "may have no price; say instrument(..., provider=...)",
                    host,
                )
            self._providers[host] = known
        return known


def _metered(transport: Any, begin: Callable[[Any], Any]) -> Any:
    """The transport with the metering as its innermost layer, so that it sees each retry."""
    if isinstance(transport, Metered):
        transport.begin = begin
    elif isinstance(transport, Layer):
        transport.inner = _metered(transport.inner, begin)
    else:
        return Metered(transport, begin)
    return transport


def _unmetered(transport: Any) -> Any:
    if isinstance(transport, Metered):
        return transport.inner
    if isinstance(transport, Layer):
        transport.inner = _unmetered(transport.inner)
    return transport


def replace_transports(http: Any, change: Callable[[Any], Any]) -> None:
    """Change the transports of an httpx client: its own, and those of proxies."""
    http._transport = change(http._transport)
    for pattern, transport in list(http._mounts.items()):
        if transport is not None:
            http._mounts[pattern] = change(transport)


def _fallback(client: object) -> str | None:
    """Who bills where the host does not tell, as for a gateway in front of Azure."""
    names = {base.__name__.removeprefix("Async") for base in type(client).__mro__}
    return "azure.ai.openai" if "AzureOpenAI" in names else None


def _body(request: Any) -> bytes:
    try:
        content: bytes = request.content
    except RuntimeError:  # An upload, which is read while it is sent.
        return b""
    return content


def _with_body(request: Any, body: bytes) -> Any:
    headers = request.headers.copy()
    headers.pop("content-length", None)
    return type(request)(
        request.method, request.url, headers=headers, content=body, extensions=request.extensions
    )


def _merged(standing: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What the block around a call says, over what the client was instrumented with."""
    tags = {**standing.get("tags", {}), **said.get("tags", {})}
    merged = {**standing, **said}
    return {**merged, "tags": tags} if tags else merged
