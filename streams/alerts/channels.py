"""The channels that the settings name."""

from __future__ import annotations

from schemas.errors import UserError
from sinks.channels import Channel
from sinks.slack import SlackWebhook
from sinks.webhook import Webhook
from streams.settings import Settings


def channels_of(settings: Settings) -> list[Channel]:
    """One channel per address that is set. Raises UserError for a webhook without its secret."""
    channels: list[Channel] = []
    if settings.slack_webhook is not None:
        channels.append(SlackWebhook("slack", settings.slack_webhook.get_secret_value()))
    if settings.webhook is not None:
        if settings.webhook_secret is None:
            raise UserError(
                "SPENDSTREAM_WEBHOOK is set without SPENDSTREAM_WEBHOOK_SECRET; what is posted is "
                "signed with it, so set both"
            )
        secret = settings.webhook_secret.get_secret_value()
        channels.append(Webhook("webhook", settings.webhook.get_secret_value(), secret))
    return channels
