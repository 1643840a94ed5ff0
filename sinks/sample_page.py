"""The page with a message of every kind: what people get in Slack, from the samples."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from schemas.alerts import Alert, Rule
from sinks.alert_samples import history
from sinks.chart import has_trend, trend_png, trend_text
from sinks.slack_bot import LOUD
from sinks.slack_message import (
    SlackMessage,
    digest_message,
    reminder_message,
    reply_message,
    slack_message,
    span,
)
from sinks.slack_preview import Post, Thread, preview_page

_LINK = "https://spend.example/alerts/"


def sample_page(rules: Iterable[Rule], now: datetime) -> str:
    """An HTML page: the thread of each rule's sample, then how the first message reads later.

    Dates are in the zone of ``now``. Draws charts, in this process: seconds.
    """
    histories = [history(rule, now) for rule in rules]
    threads = [_thread(alerts) for alerts in histories]
    threads += _later(histories[0])
    newest = [alerts[index % 5] for index, alerts in enumerate(histories)]
    digest = digest_message(newest, *span(newest), _link)
    threads.append(Thread("A digest", _post(digest, now)))
    return preview_page(threads, "spendstream: alerts in Slack", now.tzinfo or UTC)


def page_of(alerts: Iterable[Alert], now: datetime) -> str:
    """An HTML page with the first message of each of these alerts, with its chart."""
    threads = [
        Thread(f"{a.rule}: {a.scope_text}", _post(slack_message(a, None), a.at), tuple(_chart(a)))
        for a in alerts
    ]
    return preview_page(threads, "spendstream: alerts in Slack", now.tzinfo or UTC)


def _thread(alerts: tuple[Alert, ...]) -> Thread:
    opened, *later = alerts
    first = _post(slack_message(opened, _link(opened)), opened.at)
    replies = [*_chart(opened)]
    for alert in later:
        loud = alert.transition in LOUD
        replies.append(_post(reply_message(alert), alert.at, also_in_channel=loud))
    return Thread(opened.rule, first, tuple(replies))


def _later(alerts: tuple[Alert, ...]) -> list[Thread]:
    """The first message of a thread after each update, which is all that a webhook can post."""
    opened, *later = alerts
    threads = [
        Thread(
            f"{alert.rule}: the message when it is {alert.transition}",
            _post(slack_message(alert, _link(alert)), opened.at),
        )
        for alert in later
    ]
    tomorrow = opened.at + timedelta(days=1)
    reminder = reminder_message(opened, tomorrow, _link(opened))
    return [*threads, Thread(f"{opened.rule}: a reminder", _post(reminder, tomorrow))]


def _chart(alert: Alert) -> list[Post]:
    if not has_trend(alert):
        return []
    return [Post((), alert.at, trend_png(alert), trend_text(alert))]


def _post(message: SlackMessage, at: datetime, *, also_in_channel: bool = False) -> Post:
    blocks = [block.to_dict() for block in message.blocks]
    return Post(blocks, at, also_in_channel=also_in_channel)


def _link(alert: Alert) -> str:
    return _LINK + alert.alert_id
