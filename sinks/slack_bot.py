"""Slack as a channel, by an app's bot token: an alert is one message, its history the thread below.

The message always shows the newest state, and what has changed since is said in its thread; what
is worse than before, and a reminder, in the channel too. A chart of the trend goes into the thread.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.alerts import Alert
from schemas.errors import UserError
from sinks.channels import digest_id, message_id
from sinks.chart import drawn, has_trend, trend_text
from sinks.slack_api import SLACK, SlackApi
from sinks.slack_errors import SlackRefusal
from sinks.slack_message import (
    LinkTo,
    SlackMessage,
    digest_message,
    no_link,
    reminder_message,
    reply_message,
    slack_message,
    span,
)

log = logging.getLogger(__name__)

LOUD = {"escalated", "restated"}
"""Transitions that are said in the channel too: nobody is told of a thread that they do not follow,
or of a message that has changed."""
CHARTED = {"opened", "escalated", "restated"}

_NOT_EDITABLE = {"cant_update_message", "edit_window_closed", "update_failed"}
_DELETED = {"duplicate_message_not_found", "duplicate_channel_not_found"}
_IDS = uuid.UUID("6d2b7f0a-3f0e-5b57-9a51-0c6a5be1f6d1")  # namespace of the client_msg_ids


@dataclass(frozen=True, slots=True)
class _Thread:
    """Where an alert's messages are: the id of the Slack channel, and its first message."""

    channel: str
    ts: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.ts}"

    @classmethod
    def parse(cls, text: str | None) -> _Thread | None:
        channel, _, ts = (text or "").partition(":")
        return cls(channel, ts) if channel and ts else None


class SlackBot:
    """A Channel that posts to one Slack channel as an app. Close it when done.

    ``token`` is the app's bot token, with the scopes `chat:write` and, for charts, `files:write`;
    it appears in no log, error or repr. ``channel`` is an id (`C…`) or a name; the bot has to be a
    member. ``link_to`` gives the address of a page about an alert, or None. ``timeout`` is for one
    request, in seconds.

    Where Slack's answer is lost, the message is sent again with the same `client_msg_id`. Slack
    documents that only by its errors, so it may help and is not relied on: the alert can be there
    twice, as two messages or two replies, and the metadata of both name the same transition. An
    update repeats without a trace. A chart is tried once, and its failure is only logged.

    An alert goes on in the thread where it began, even if ``channel`` is another one by then.
    """

    def __init__(
        self,
        name: str,
        token: str,
        channel: str,
        *,
        link_to: LinkTo = no_link,
        base_url: str = SLACK,
        timeout: float = 10.0,
    ) -> None:
        self.name = name
        if not channel.strip():
            raise UserError(f"channel {name}: which Slack channel? C0123456789 or #alerts is right")
        self._channel = channel.strip()
        self._link_to = link_to
        self._api = SlackApi(token, base_url, name, timeout)
        self._drawing = asyncio.Semaphore(1)  # it takes a core for seconds

    def __repr__(self) -> str:
        return f"SlackBot(name={self.name!r})"

    async def send(self, alert: Alert, thread: str | None = None, reminder: int = 0) -> str:
        """Open the alert's message, or update it and add to its thread. Errors: Channel.send."""
        link = self._link_to(alert)
        state, entry = slack_message(alert, link), reply_message(alert)
        loud = bool(reminder) or alert.transition in LOUD
        if reminder:
            state = entry = reminder_message(alert, datetime.now(UTC), link)
        place = _Thread.parse(thread)
        if place is not None and not reminder:
            # Before the reply: the update can be repeated, if the reply has to be.
            place = await self._update(place, state, alert)
        identity = message_id(alert, reminder)
        if place is not None:
            await self._post(entry, identity, alert=alert, place=place, loud=loud)
        else:
            answer = await self._post(state, identity, alert=alert)
            place = _Thread(str(answer["channel"]), str(answer["ts"]))
        if not reminder and alert.transition in CHARTED and has_trend(alert):
            await self._chart(place, alert)
        return str(place)

    async def send_digest(self, alerts: Sequence[Alert]) -> None:
        """Post a digest, which belongs to no thread. Errors as for Channel.send."""
        message = digest_message(alerts, *span(alerts), self._link_to)
        await self._post(message, digest_id(alerts))

    async def close(self) -> None:
        """Release the connections; the next send would open new ones."""
        await self._api.close()

    async def _post(
        self,
        message: SlackMessage,
        identity: str,
        *,
        alert: Alert | None = None,
        place: _Thread | None = None,
        loud: bool = False,
    ) -> Mapping[str, Any]:
        arguments: dict[str, Any] = {
            "channel": self._channel if place is None else place.channel,
            "text": message.text,
            "blocks": message.blocks,
            "metadata": _metadata(identity, alert),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if place is not None:
            arguments |= {"thread_ts": place.ts, "reply_broadcast": loud}
        client_msg_id = str(uuid.uuid5(_IDS, f"{self.name} {self._channel} {identity}"))
        try:
            return await self._api.post(**arguments, client_msg_id=client_msg_id)
        except SlackRefusal as refused:
            if refused.code not in _DELETED:
                raise
        # Slack has had this one, and somebody has deleted it since.
        return await self._api.post(**arguments)

    async def _update(self, place: _Thread, state: SlackMessage, alert: Alert) -> _Thread | None:
        """Let the first message show this state. None where somebody has deleted it."""
        try:
            await self._api.update(
                channel=place.channel,
                ts=place.ts,
                text=state.text,
                blocks=state.blocks,
                metadata=_metadata(alert.transition_id, alert),
            )
        except SlackRefusal as refused:
            if refused.code == "message_not_found":
                return None
            if refused.code not in _NOT_EDITABLE:
                raise
            log.warning("%s: alert %s shows an old state: %s", self.name, alert.alert_id, refused)
        return place

    async def _chart(self, place: _Thread, alert: Alert) -> None:
        # Shared into the thread, not as an image block of the message: Slack works on a file after
        # it was uploaded, and refuses a block with one that is not ready yet.
        try:
            async with self._drawing:
                png = await drawn(alert)
            await self._api.share(
                png,
                filename=f"{alert.alert_id}-{alert.number}.png",
                title="The time before",
                alt_txt=trend_text(alert),
                channel=place.channel,
                thread_ts=place.ts,
            )
        except Exception as error:  # noqa: BLE001 - the message is there: failing would send it again
            log.warning("%s: no chart for alert %s: %s", self.name, alert.alert_id, error)


def _metadata(identity: str, alert: Alert | None) -> dict[str, Any]:
    """Which transition a message is about. Every app and member of the workspace can read it."""
    payload = {"message_id": identity}
    if alert is not None:
        payload |= {"alert_id": alert.alert_id, "rule": alert.rule}
    return {"event_type": "spendstream_alert", "event_payload": payload}
