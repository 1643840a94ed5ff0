"""Text as Slack's mrkdwn wants it: escaped, within its limits, dates in each reader's own zone.

https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from slack_sdk.models.blocks import MarkdownTextObject

HEADER_LIMIT = 150
SECTION_LIMIT = 3000

_LINK_LIMIT = 2000  # a link cannot be cut: a longer one is left out


def escaped(text: str) -> str:
    """``text`` with the three characters that mrkdwn reads as markup as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def on_one_line(text: str, limit: int) -> str:
    """``text``, not escaped yet, on one line and cut to ``limit`` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def cut(text: str, limit: int = SECTION_LIMIT) -> str:
    """Escaped text cut to ``limit`` characters, never inside an entity."""
    if len(text) <= limit:
        return text
    return re.sub(r"&[a-z]*$", "", text[: limit - 1]) + "…"


def mrkdwn(text: str) -> MarkdownTextObject:
    """Escaped text as an object of Block Kit."""
    # verbatim: a team that is called @channel or #general must not notify or link anything.
    return MarkdownTextObject(text=cut(text), verbatim=True)


def slack_date(moment: datetime, *, time: bool = True) -> str:
    """The moment in each reader's own zone; UTC where Slack cannot format it."""
    shown = "{date_short_pretty} {time}" if time else "{date_short_pretty}"
    return f"<!date^{int(moment.timestamp())}^{shown}|{utc_text(moment)}>"


def utc_text(moment: datetime) -> str:
    """`2026-11-23 12:37 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def link_text(address: str | None, label: str) -> str | None:
    """A link in the text; None without an address, or where it is too long.

    In the text, not a button: Slack marks a button with a warning sign once it is clicked, unless
    the app answers interactions.
    """
    if address is None:
        return None
    for character in "<>| \n":
        address = address.replace(character, f"%{ord(character):02X}")
    address = escaped(address)
    return f"<{address}|{label}>" if len(address) <= _LINK_LIMIT else None
