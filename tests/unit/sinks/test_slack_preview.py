from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sinks.slack_preview import Post, Thread, mrkdwn_html, preview_page

NOW = datetime(2026, 11, 23, 12, 37, tzinfo=UTC)
HONG_KONG = ZoneInfo("Asia/Hong_Kong")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*Top* of 3*4*5", "<b>Top</b> of 3*4*5"),
        ("_so_ and snake_case_name", "<i>so</i> and snake_case_name"),
        ("~old~", "<s>old</s>"),
        ("`a < b` *not `bold`*", "<code>a &lt; b</code> <b>not <code>bold</code></b>"),
        ("```two\nlines```", "<pre>two\nlines</pre>"),
        ("one\ntwo", "one<br>two"),
        ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
        (
            "<https://spend.test/?a=1&amp;b=2|Open *it*>",
            '<a href="https://spend.test/?a=1&amp;b=2">Open *it*</a>',
        ),
        ("<https://spend.test>", '<a href="https://spend.test">https://spend.test</a>'),
        (
            "since <!date^1795437450^{date_short_pretty} {time}|2026-11-23 12:37 UTC>",
            "since Nov 23, 2026 8:37 PM",
        ),
        ("🚨 ▓▓░░", "🚨 ▓▓░░"),
    ],
)
def test_mrkdwn_reads_as_slack_shows_it(text: str, html: str) -> None:
    assert mrkdwn_html(text, HONG_KONG) == html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        '<https://x.test/"onclick="alert(1)|a>',
        "<javascript:alert(1)|a>",
        "*<script>*",
        "`<script>`",
    ],
)
def test_nothing_in_a_message_becomes_markup_of_the_page(text: str) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    header = {"type": "header", "text": {"type": "plain_text", "text": text}}
    page = preview_page([Thread(text, Post([header, block], NOW))], text)
    assert "<script" not in page
    assert 'onclick="' not in page
    assert 'href="javascript' not in page


def test_a_page_shows_headers_fields_replies_and_pictures() -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Over *budget*"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Who*\nsearch"}]},
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "alert `1`"}]},
    ]
    reply = Post((), NOW, b"PNG", "from 1 to 4", also_in_channel=True)
    page = preview_page([Thread("budget", Post(blocks, NOW), (reply,))], "A title", HONG_KONG)
    assert "<title>A title</title>" in page
    assert "<h3>Over *budget*</h3>" in page
    assert "<div><b>Who</b><br>search</div>" in page
    assert "<hr>" in page
    assert "alert <code>1</code>" in page
    assert '<img src="data:image/png;base64,UE5H" alt="from 1 to 4">' in page
    assert page.count('<div class="thread">') == page.count("also sent to the channel") == 1
    assert "<time>8:37 PM</time>" in page


def test_a_page_loads_nothing() -> None:
    page = preview_page([Thread("empty", Post((), NOW))], "A title")
    for loader in ("<script", "<link", "src=", "url(", "@import", "http"):
        assert loader not in page
