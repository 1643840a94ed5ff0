"""The channels that the settings and the alerting file name."""

from __future__ import annotations

import os
from collections.abc import Callable

from schemas.alerts import Alert
from schemas.errors import UserError
from sinks.channels import Channel
from sinks.slack import SlackWebhook
from sinks.slack_bot import SlackBot
from sinks.webhook import Webhook
from streams.alerts.alerting_file import Alerting, ChannelEntry, read_alerting
from streams.settings import Settings

LinkTo = Callable[[Alert], str | None]


def alerting_of(settings: Settings) -> Alerting:
    """The alerting file, or what holds without one. Raises UserError."""
    return read_alerting(settings.alerting) if settings.alerting else Alerting()


def channels_of(settings: Settings, alerting: Alerting | None = None) -> list[Channel]:
    """One channel per address that is set. Raises UserError for what is set by half."""
    alerting = alerting or alerting_of(settings)
    link_to = _link_to(alerting.link)
    channels: list[Channel] = []
    if settings.slack_webhook is not None:
        address = settings.slack_webhook.get_secret_value()
        channels.append(SlackWebhook("slack", address, link_to=link_to))
    if settings.slack_bot_token is not None:
        if settings.slack_channel is None:
            raise UserError(
                "SPENDSTREAM_SLACK_BOT_TOKEN is set without SPENDSTREAM_SLACK_CHANNEL; "
                "set the channel that the bot posts to, such as C0123456789"
            )
        token = settings.slack_bot_token.get_secret_value()
        channels.append(SlackBot("slack-bot", token, settings.slack_channel, link_to=link_to))
    if settings.webhook is not None:
        if settings.webhook_secret is None:
            raise UserError(
                "SPENDSTREAM_WEBHOOK is set without SPENDSTREAM_WEBHOOK_SECRET; what is posted is "
                "signed with it, so set both"
            )
        secret = settings.webhook_secret.get_secret_value()
        channels.append(Webhook("webhook", settings.webhook.get_secret_value(), secret))
    channels += [_made(name, entry, link_to) for name, entry in alerting.channels.items()]
    seen: set[str] = set()
    for channel in channels:
        if channel.name in seen:
            raise UserError(f"there are two channels {channel.name!r}; rename the alerting file's")
        seen.add(channel.name)
    return channels


def _made(name: str, entry: ChannelEntry, link_to: LinkTo) -> Channel:
    if entry.slack_webhook_env is not None:
        return SlackWebhook(name, _secret(name, entry.slack_webhook_env), link_to=link_to)
    if entry.slack_bot_token_env is not None:
        token = _secret(name, entry.slack_bot_token_env)
        return SlackBot(name, token, entry.slack_channel or "", link_to=link_to)
    address = _secret(name, entry.webhook_env or "")
    return Webhook(name, address, _secret(name, entry.secret_env or ""))


def _secret(channel: str, variable: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise UserError(f"channel {channel}: the environment variable {variable} is not set")
    return value


def _link_to(pattern: str | None) -> LinkTo:
    def link_to(alert: Alert) -> str | None:
        return None if pattern is None else pattern.replace("{alert_id}", alert.alert_id)

    return link_to
