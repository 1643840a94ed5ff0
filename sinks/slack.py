"""Slack as a channel: one message per transition, through an incoming webhook.

Slack answers 200 `ok`, 429 with Retry-After (about one message a second is allowed), or a short
code in the body: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import aiohttp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from schemas.alerts import Alert
from sinks.channels import (
    DeliveryDelayed,
    check_answer,
    failures_as_delays,
    new_session,
    receiver_url,
)
from sinks.slack_message import (
    LinkTo,
    SlackMessage,
    digest_message,
    no_link,
    reminder_message,
    slack_message,
    span,
)

# At DEBUG slack_sdk logs the URL and the whole message. A logger outside the hierarchy cannot be
# switched on by a root configuration.
SILENT = logging.Logger("slack_sdk.silent", level=logging.CRITICAL + 1)

_ADVICE = {
    "invalid_payload": "Slack could not read the message: report it with the alert's id",
    "invalid_blocks": "Slack could not read the message: report it with the alert's id",
    "user_not_found": "the user that the webhook posts to is gone: create a new webhook",
    "action_prohibited": "an admin restricts posting there: ask one, or choose another channel",
    "posting_to_general_channel_denied": "an admin restricts posting to that channel",
    "channel_not_found": "the channel is gone: create a webhook for another one",
    "channel_is_archived": "the channel is archived: unarchive it or choose another one",
    "no_service": "the webhook was removed or disabled: create a new one",
    "no_active_hooks": "the webhook was removed or disabled: create a new one",
    "no_team": "the workspace is gone or the URL is incomplete: copy it again",
    "invalid_token": "the URL is incomplete or was revoked: copy it again",
}
_GENERAL_ADVICE = "check the webhook in the Slack app's settings under Incoming Webhooks"


class SlackWebhook:
    """A Channel that posts to one Slack incoming webhook. Close it when done.

    ``url`` is the webhook's secret address: it appears in no log, error or repr. ``link_to`` gives
    the address of a page about an alert, or None. ``timeout`` is for one attempt, in seconds.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        link_to: LinkTo = no_link,
        timeout: float = 10.0,
    ) -> None:
        self.name = name
        self._url = receiver_url(url, name)
        self._link_to = link_to
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"SlackWebhook(name={self.name!r})"

    async def send(self, alert: Alert, thread: str | None = None, reminder: int = 0) -> None:
        """Post once; a webhook knows no threads. Errors as for Channel.send."""
        link = self._link_to(alert)
        if reminder:
            await self._post(reminder_message(alert, datetime.now(UTC), link))
        else:
            await self._post(slack_message(alert, link))

    async def send_digest(self, alerts: Sequence[Alert]) -> None:
        """Post a digest once. Errors as for Channel.send."""
        await self._post(digest_message(alerts, *span(alerts), self._link_to))

    async def _post(self, message: SlackMessage) -> None:
        with failures_as_delays(self._timeout):
            try:
                answer = await self._client().send(text=message.text, blocks=message.blocks)
            except UnicodeDecodeError:
                # Slack's answers are ASCII: some proxy spoke instead, so nothing was accepted.
                raise DeliveryDelayed("answered with something that is no text") from None
        header = {key.lower(): value for key, value in answer.headers.items()}
        advice = _ADVICE.get(answer.body.strip(), _GENERAL_ADVICE)
        retry_after = header.get("retry-after")
        check_answer(answer.status_code, retry_after, answer.body, self._url, advice)

    async def close(self) -> None:
        """Release the connections; the next send would open new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> AsyncWebhookClient:
        if self._session is None:
            self._session = new_session(self._timeout)
        client = AsyncWebhookClient(
            str(self._url),
            session=self._session,
            retry_handlers=[],  # the notifier tries again, durably; two layers would multiply
            logger=SILENT,
        )
        # slack_sdk takes a proxy from the environment without asking NO_PROXY; the session asks.
        client.proxy = None
        return client
