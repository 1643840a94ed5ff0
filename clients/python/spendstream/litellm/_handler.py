"""The object that LiteLLM calls: before a request, at each of its attempts, and behind them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import litellm
from litellm.caching.caching import CacheMode
from litellm.integrations.custom_logger import CustomLogger

from spendstream._blocking import Emitter
from spendstream._fields import UsageFields
from spendstream._instrument_attempt import Faults
from spendstream.litellm import _event
from spendstream.litellm._flights import Flights, flight_key, parameters
from spendstream.litellm._gate import CHATS, Deployed, Gate, Refused, unlimited
from spendstream.litellm._settings import Settings
from spendstream.litellm._shadows import Routed, Shadows
from spendstream.litellm._ticket import (
    Ticket,
    attach,
    mark_of,
    metadata_of,
    ticket_of,
)
from spendstream.quota import Quotas
from spendstream.routing import Choice

_PROXY = "litellm.proxy.proxy_server"
"""Imported in a proxy, and only there: it is large."""
COMPARED = frozenset({"completion", "acompletion"})
"""Calls that a shadow call can be made of: chats in OpenAI's form."""
PATIENCE_SECONDS = 60
"""Where a budget says no for longer, official clients are told not to try again by themselves."""


class Handler(CustomLogger):
    """Meters every attempt, and lets budgets refuse or degrade a request before it is made.

    Metering raises nothing into a request: what goes wrong is counted and logged. Only
    `async_pre_call_hook` refuses. Do not derive a class from it: LiteLLM calls some hooks only
    where the handler's own class defines them.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._attribution = settings.attribution
        self.emitter = Emitter(settings.url)
        self.quotas = Quotas(settings.quotas, fail=settings.fail) if settings.quotas else None
        decide = self.quotas.decide if self.quotas else unlimited
        self._gate = Gate(decide, settings.tiers, look_up)
        self._flights = Flights() if settings.coalesce else None
        router = settings.tiers.router if settings.tiers else None
        shadowing = router is not None and router.policy.shadow is not None
        self._shadows = Shadows(router, ask_group) if router and shadowing else None
        self._faults = Faults()

    # Before a request: only the proxy calls it.

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any
    ) -> dict[str, Any]:
        """Give the request its ticket; refuse it, or have a cheaper model answer it.

        Raises LiteLLM's ProxyException, status 429, where a budget refuses.
        """
        group = data.get("model")
        prompt = {name: data[name] for name in _event.ASKED if name in data}
        ticket = Ticket(group if isinstance(group, str) else None, prompt)
        attach(ticket, data)
        who = self._attribution.of(metadata_of(data))
        choice = _judge(self._gate, ticket, who, data, str(call_type))
        if self._shadows is not None and choice is not None and call_type in COMPARED:
            ticket.routed = Routed(parameters(data), who, choice)
        if self._flights is not None and litellm.cache is not None and call_type in CHATS:
            cached = litellm.cache.mode != CacheMode.default_off
            key = flight_key(data, who.get("team"), cached=cached)
            ticket.flight = await self._flights.join(key) if key else None
        return data

    async def async_post_call_response_headers_hook(
        self, data: dict[str, Any], *_: Any, **__: Any
    ) -> dict[str, str] | None:
        """Tell the client of a degraded call which tier answered, and why."""
        ticket = ticket_of(data)
        if ticket is None or not ticket.reason:
            return None
        headers = {"x-spendstream-reason": ticket.reason.encode("ascii", "replace").decode()}
        return headers | ({"x-spendstream-tier": ticket.tier} if ticket.tier else {})

    # Each attempt.

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> None:
        """A deployment is about to be called."""
        try:
            ticket = ticket_of(kwargs)
            if ticket is None:
                ticket = Ticket()
                attach(ticket, kwargs)
            provider, model = _deployment(kwargs)
            lost = ticket.begin(mark_of(kwargs), provider, model)
            if lost is not None:
                self._emit(_event.failed(ticket, lost, kwargs, None, self._attribution))
        except Exception:  # noqa: BLE001 - counted and logged
            self._faults.add("the beginning of an attempt")

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> None:
        """A deployment has answered, under the name that it gives itself."""
        ticket = ticket_of(request_data)
        if ticket is not None:
            ticket.answered_model = getattr(response, "model", None)

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: Any,
        fallback_depth: int | None = None,
    ) -> None:
        """An attempt has failed."""
        self._failed(request_data, exception)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """An attempt has succeeded: the last one of its request. Of a stream: it is over."""
        self._succeeded(kwargs, response_obj, end_time)

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The same for LiteLLM's synchronous calls."""
        self._succeeded(kwargs, response_obj, end_time)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The first failure of a request: news only where it is that of a stream under way."""
        ticket = ticket_of(kwargs)
        if ticket is not None and ticket.attempts:
            self._failed(kwargs, kwargs.get("exception"))

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """A synchronous call has failed. The proxy makes none: it tells here what it refused."""
        if _PROXY not in sys.modules:
            self._failed(kwargs, kwargs.get("exception"))

    # Behind a request: only the proxy calls these.

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> None:
        """Let identical requests that wait go on."""
        self._land(data, answered=True)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        """No attempt is left. A retry whose stream broke off is not told before."""
        self._land(request_data, answered=False)
        ticket = ticket_of(request_data)
        if ticket is not None and ticket.attempts:
            self._failed(request_data, original_exception)

    def _succeeded(self, told: dict[str, Any], response: Any, end: Any) -> None:
        try:
            ticket = ticket_of(told)
            if ticket is None:
                ticket = Ticket()
                attach(ticket, told)
            attempt = ticket.end(succeeded=True)
            if attempt is not None:
                self._emit(_event.answered(ticket, attempt, told, response, end, self._attribution))
                if self._shadows is not None and ticket.routed is not None and _is_new(told):
                    self._shadows.follow(attempt.event_id, ticket.routed, metadata_of(told))
        except Exception:  # noqa: BLE001 - counted and logged
            self._faults.add("an answer")

    def _failed(self, told: Mapping[str, Any], error: object) -> None:
        try:
            ticket = ticket_of(told)
            if ticket is None:
                ticket = Ticket()
                attach(ticket, told)
            attempt = ticket.end(succeeded=False)
            if attempt is not None:
                self._emit(_event.failed(ticket, attempt, told, error, self._attribution))
        except Exception:  # noqa: BLE001 - counted and logged
            self._faults.add("a failure")

    def _emit(self, fields: UsageFields) -> None:
        self.emitter.emit(**fields)

    def _land(self, data: Mapping[str, Any], *, answered: bool) -> None:
        ticket = ticket_of(data)
        if self._flights is not None and ticket is not None and ticket.flight is not None:
            self._flights.end(ticket.flight, answered=answered)
            ticket.flight = None


def _judge(
    gate: Gate, ticket: Ticket, who: Mapping[str, str], data: dict[str, Any], call_type: str
) -> Choice | None:
    try:
        verdict = gate.judge(who, data, call_type)
    except Refused as refused:
        raise refusal(refused) from None
    ticket.tier, ticket.reason = verdict.tier, verdict.reason
    if verdict.group is not None:
        data["model"] = verdict.group
    return verdict.choice


def _is_new(told: Mapping[str, Any]) -> bool:
    """True for an answer that was heard to its end, and does not come from a cache."""
    return told.get("cache_hit") is not True and not metadata_of(told).get("client_disconnected")


async def ask_group(**request: Any) -> Any:
    """Ask a model group of this proxy, past its hooks and limits for requests."""
    return await sys.modules[_PROXY].llm_router.acompletion(**request)


def refusal(refused: Refused) -> Exception:
    """The answer to a request that a budget refuses, in OpenAI's shape."""
    from litellm.proxy._types import ProxyException

    headers: dict[str, str] = {}
    if refused.retry_after is not None:
        headers["retry-after"] = str(refused.retry_after)
        if refused.retry_after > PATIENCE_SECONDS:
            headers["x-should-retry"] = "false"
    return ProxyException(
        message=str(refused),
        type="insufficient_quota",
        param=None,
        code=429,
        headers=headers,
        openai_code="insufficient_quota",
    )


def look_up(group: str) -> Deployed | None:
    """What a model group of this proxy stands for; None where it has none of the name."""
    router = getattr(sys.modules.get(_PROXY), "llm_router", None)
    deployments = router.get_model_list(model_name=group) if router is not None else None
    if not deployments:
        return None
    said = deployments[0].get("litellm_params") or {}
    model, provider = _parted(said.get("model"), said.get("custom_llm_provider"))
    information = deployments[0].get("model_info")
    return Deployed(_event.billed_by(provider), _event.billed_model(model, provider, information))


def _deployment(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Provider and model that an attempt is about to call."""
    model, provider = _parted(data.get("model"), data.get("custom_llm_provider"))
    return provider, model


def _parted(model: Any, provider: Any) -> tuple[Any, Any]:
    """Model and provider of a name such as ``azure/my-deployment``."""
    try:
        name, known, *_ = litellm.get_llm_provider(model=model, custom_llm_provider=provider)
    except litellm.exceptions.BadRequestError:  # a name that LiteLLM does not know either
        return model, provider
    return name, known
