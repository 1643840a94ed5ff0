"""Messages as a page that looks like Slack: to see what people get, without a workspace.

It knows what the messages here are made of: header, section, fields, context, divider; of mrkdwn
bold, italic, strike, code, links and dates. Emoji are characters.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import Any

_TOKEN = re.compile(
    r"```(?P<block>.+?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<!date\^(?P<unix>\d+)\^(?P<format>[^|>]*)\|[^>]*>"
    r"|<(?P<url>https?://[^|>]+)(?:\|(?P<label>[^>]*))?>"
    r"|(?<![\w*])\*(?P<strong>[^*\n]+)\*(?![\w*])"
    r"|(?<![\w_])_(?P<em>[^_\n]+)_(?![\w_])"
    r"|(?<![\w~])~(?P<del>[^~\n]+)~(?![\w~])",
    re.DOTALL,
)
_TAGS = {"block": "pre", "code": "code", "strong": "b", "em": "i", "del": "s"}


@dataclass(frozen=True, slots=True)
class Post:
    """One message: its blocks as Slack takes them, and perhaps a picture (PNG)."""

    blocks: Sequence[Mapping[str, Any]]
    at: datetime
    image: bytes | None = None
    image_says: str = ""
    also_in_channel: bool = False
    """A reply that is shown in the channel too."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A message with its replies, under a heading that is not part of Slack."""

    heading: str
    first: Post
    replies: tuple[Post, ...] = ()


def preview_page(threads: Sequence[Thread], title: str, zone: tzinfo = UTC) -> str:
    """An HTML page that needs nothing else, dates in ``zone``."""
    from jinja2 import Environment, PackageLoader

    def shown(text: Mapping[str, Any]) -> str:
        if text["type"] != "mrkdwn":
            return _plain(str(text["text"]))
        return mrkdwn_html(str(text["text"]), zone)

    environment = Environment(loader=PackageLoader("sinks", ""), autoescape=True)
    environment.filters |= {
        "text": shown,  # HTML, escaped
        "clock": lambda at: _clock(at.astimezone(zone)),
        "data_url": lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}",
    }
    return environment.get_template("slack_preview.html").render(threads=threads, title=title)


def mrkdwn_html(text: str, zone: tzinfo = UTC) -> str:
    """Slack's mrkdwn, escaped as Slack wants it, as HTML; dates in ``zone``."""
    parts = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts += [_plain(_unescaped(text[end : token.start()])), _token_html(token, zone)]
        end = token.end()
    return "".join([*parts, _plain(_unescaped(text[end:]))])


def _token_html(token: re.Match[str], zone: tzinfo) -> str:
    said = token.groupdict()
    if said["unix"] is not None:
        moment = datetime.fromtimestamp(int(said["unix"]), zone)
        shown = said["format"].replace("{time}", _clock(moment))
        for name in ("{date_short_pretty}", "{date_short}", "{date}"):
            shown = shown.replace(name, f"{moment:%b} {moment.day}, {moment.year}")
        return escape(shown)
    if said["url"] is not None:
        address, label = _unescaped(said["url"]), _unescaped(said["label"] or said["url"])
        return f'<a href="{escape(address)}">{escape(label)}</a>'
    kind, inner = next((kind, said[kind]) for kind in _TAGS if said[kind] is not None)
    tag = _TAGS[kind]
    literal = kind in {"block", "code"}
    body = escape(_unescaped(inner)) if literal else mrkdwn_html(inner, zone)
    return f"<{tag}>{body}</{tag}>"


def _plain(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _clock(moment: datetime) -> str:
    return f"{moment.hour % 12 or 12}:{moment:%M %p}"
