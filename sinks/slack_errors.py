"""What a refusal of Slack's Web API means: try again later, or what somebody has to change.

https://docs.slack.dev/reference/methods/chat.postMessage
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sinks.channels import DeliveryDelayed, DeliveryError, DeliveryRejected

_LATER = {
    "ratelimited",
    "rate_limited",
    "message_limit_exceeded",
    "request_timeout",
    "service_unavailable",
    "internal_error",
    "fatal_error",
    "team_added_to_org",
    "org_login_required",
    "external_channel_migrating",
}
_TOKEN = "copy the app's Bot User OAuth Token (xoxb-…) again, from OAuth & Permissions"  # noqa: S105 - advice
_ADMIN = "an admin restricts posting there: ask one, or choose another channel"
_MESSAGE = "Slack could not read the message: report it with the alert's id"
_ADVICE = {
    "not_authed": f"there is no token: {_TOKEN}",
    "invalid_auth": f"the token is not valid, or not from this address: {_TOKEN}",
    "token_revoked": f"the token was revoked: install the app again and {_TOKEN}",
    "token_expired": f"the token has expired: {_TOKEN}",
    "account_inactive": f"the app was removed from the workspace: install it again and {_TOKEN}",
    "not_allowed_token_type": f"this is no bot token: {_TOKEN}",
    "channel_not_found": (
        "there is no such channel, or it is private and the bot is not in it: give the channel's "
        "id (C…, from its details), and invite the bot"
    ),
    "not_in_channel": "the bot is not in the channel: write /invite and the bot's name there",
    "no_permission": "the bot is not in the channel: write /invite and the bot's name there",
    "is_archived": "the channel is archived: unarchive it or choose another one",
    "is_inactive": "the channel is archived: unarchive it or choose another one",
    "restricted_action": _ADMIN,
    "restricted_action_read_only_channel": _ADMIN,
    "restricted_action_thread_only_channel": _ADMIN,
    "restricted_action_non_threadable_channel": _ADMIN,
    "restricted_action_thread_locked": "the thread is locked: unlock it",
    "ekm_access_denied": _ADMIN,
    "access_denied": _ADMIN,
    "accesslimited": "the workspace does not take requests from this network: ask its admin",
    "team_access_not_granted": "the app is not approved for this workspace: ask its admin",
    "invalid_blocks": _MESSAGE,
    "invalid_blocks_format": _MESSAGE,
    "invalid_arguments": _MESSAGE,
    "msg_too_long": _MESSAGE,
    "no_text": _MESSAGE,
}
_GENERAL_ADVICE = "see https://docs.slack.dev/reference/methods/chat.postMessage"


class SlackRefusal(DeliveryRejected):
    """Slack has answered that it will not do it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        """Slack's word for it, such as `not_in_channel`."""


def refusal(answer: Mapping[str, Any]) -> DeliveryError:
    """The error that an answer with ``ok: false`` means."""
    code = _word(answer.get("error"))
    if code in _LATER:
        return DeliveryDelayed(f"answered {code}")
    advice = _ADVICE.get(code, _GENERAL_ADVICE)
    if code == "missing_scope":
        needed = _word(answer.get("needed"))
        advice = (
            f"the app lacks the scope {needed}: add it under OAuth & Permissions, and install the "
            "app again"
        )
    return SlackRefusal(f"answered {code}; {advice}", code)


def _word(said: object) -> str:
    """A code or a list of scopes, and nothing that could be somebody else's text."""
    if isinstance(said, str) and re.fullmatch(r"[a-z0-9_.:, ]{1,80}", said):
        return said
    return "something that is no code"
