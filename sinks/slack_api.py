"""Slack's Web API as a notification channel sees it: one attempt, and what its failure means."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

from schemas.errors import UserError
from sinks.channels import (
    DeliveryDelayed,
    check_answer,
    failures_as_delays,
    new_session,
    receiver_url,
)
from sinks.slack import SILENT
from sinks.slack_errors import refusal

SLACK = AsyncWebClient.BASE_URL

_PREFIXES = ("xoxb-", "xoxe.")
_BODY_READ = 4096  # bytes of a refusal that are read: a receiver must not fill our memory
_ADVICE = "check that nothing between here and slack.com changes requests"


class SlackApi:
    """The methods that a channel needs. All of them raise DeliveryDelayed or DeliveryRejected.

    What Slack itself refuses is a SlackRefusal. ``token`` appears in no log, error or repr;
    ``channel`` names who asks, in errors; ``timeout`` is for one request, in seconds.
    """

    def __init__(self, token: str, base_url: str, channel: str, timeout: float) -> None:
        if not token.startswith(_PREFIXES) or not token.isascii() or not token.isprintable():
            raise UserError(
                f"channel {channel}: its bot token (not shown, it is a secret) is none; what Slack "
                "calls Bot User OAuth Token begins with xoxb-"
            )
        self._token = token
        self._base = receiver_url(base_url, channel)
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def post(self, **arguments: Any) -> Mapping[str, Any]:
        """A new message, by chat.postMessage: where it is, as `channel` and `ts`."""
        answer = await self._asked(self._client().chat_postMessage(**arguments))
        if not (answer.get("channel") and answer.get("ts")):
            raise DeliveryDelayed("answered ok, but not where the message is")
        return answer

    async def update(self, **arguments: Any) -> None:
        """Another text for a message, by chat.update."""
        await self._asked(self._client().chat_update(**arguments))

    async def share(self, content: bytes, **arguments: Any) -> None:
        """Upload a file and share it, by files.getUploadURLExternal and what belongs to it."""
        await self._asked(self._client().files_upload_v2(content=content, **arguments))

    async def close(self) -> None:
        """Release the connections; the next request would open new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _asked(self, call: Awaitable[Any]) -> Mapping[str, Any]:
        """Slack's answer, or the error that it means."""
        with failures_as_delays(self._timeout):
            try:
                answer = await call
            except SlackApiError as error:
                raise refusal(error.response.data) from None
            except SlackRequestError:
                raise DeliveryDelayed("the file was not taken") from None
        fields: Mapping[str, Any] = answer.data
        return fields

    def _client(self) -> AsyncWebClient:
        if self._session is None:
            self._session = new_session(self._timeout, self._check)
        client = AsyncWebClient(
            self._token,
            base_url=str(self._base),
            session=self._session,
            retry_handlers=[],  # the notifier tries again, durably; two layers would multiply
            logger=SILENT,
        )
        # slack_sdk takes a proxy from the environment without asking NO_PROXY; the session asks.
        client.proxy = None
        return client

    async def _check(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Let through what Slack's API answers: 200 and an object. slack_sdk expects nothing else.

        That is not all of it: a file goes to another address, which answers with a text.
        """
        response = await handler(request)
        if response.status != 200:
            said = (await response.content.read(_BODY_READ)).decode(errors="replace")
            response.close()
            said = said.replace(self._token, "[hidden]")
            retry_after = response.headers.get("retry-after")
            check_answer(response.status, retry_after, said, request.url, _ADVICE)
            raise DeliveryDelayed(f"answered {response.status}, which says nothing")
        if request.url.path.startswith(self._base.path):
            try:
                answer = await response.json()
            except (aiohttp.ContentTypeError, ValueError):
                answer = None
            if not isinstance(answer, dict):
                raise DeliveryDelayed("answered with something that is not Slack's")
        return response
