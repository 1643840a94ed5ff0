"""Alerts as Slack messages: Block Kit, and one sentence for where blocks are not shown.

The headline and the line below it say the point; what follows is for whoever has to act. Slack
refuses a message as a whole when one text is too long, so every text is cut to its limit here:
https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from slack_sdk.models.blocks import (
    Block,
    ContextBlock,
    HeaderBlock,
    PlainTextObject,
    SectionBlock,
)

from schemas.alerts import RANK, Alert, Contributor
from sinks.alert_words import (
    MARK,
    headline,
    how_much,
    is_episode,
    lasted,
    share,
    time_left,
    who,
)
from sinks.amounts import amount_text, bar, duration_text, is_money, number_text
from sinks.slack_text import (
    HEADER_LIMIT,
    SECTION_LIMIT,
    cut,
    escaped,
    link_text,
    mrkdwn,
    on_one_line,
    slack_date,
    utc_text,
)

CONTRIBUTORS_SHOWN = 3
"""More do not fit on a telephone; the rest is counted, and behind the link."""
DIGEST_SHOWN = 30
"""Alerts of a digest; the rest is counted."""

_NAME_LIMIT = 80  # keeps one line of a list, and the sentence, readable
_AMOUNT_LIMIT = 120
_LINE_LIMIT = 290  # ten lines of a digest fit into a section
_TITLE_LIMIT = 200  # of such a line
_ACK = "spendstream alerts ack"
_OVER = {"acknowledged", "resolved"}  # whoever reads this has nothing to do
_HANDLED = {"acknowledged": 1, "resolved": 2}

LinkTo = Callable[[Alert], str | None]
"""Gives the http(s) address of a page about an alert, or None."""


def no_link(_: Alert) -> None:
    """There is no page about an alert."""


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """What Slack takes: ``text`` (mrkdwn, for notifications) and ``blocks``."""

    text: str
    blocks: tuple[Block, ...]


def slack_message(alert: Alert, link: str | None) -> SlackMessage:
    """The whole state of an alert after a transition; ``link`` leads to more about it."""
    head = headline(alert)
    blocks: list[Block] = [_header(head), _section(_point(alert, alert.at))]
    if alert.transition not in _OVER:
        blocks += [_section(part) for part in (_top(alert), _to_do(alert)) if part]
    blocks.append(_context(alert, link))
    return SlackMessage(text=_sentence(alert, head), blocks=tuple(blocks))


def reply_message(alert: Alert) -> SlackMessage:
    """A transition as an entry in the thread of its alert: what has changed, and no more."""
    head = headline(alert)
    lines = [f"*{escaped(on_one_line(head, HEADER_LIMIT))}*", *_figures(alert), *_detail(alert)]
    if after := lasted(alert):
        lines.append(f"It is over {after}.")
    return SlackMessage(text=_sentence(alert, head), blocks=(_section(lines),))


def reminder_message(alert: Alert, now: datetime, link: str | None) -> SlackMessage:
    """An alert is still open, and not acknowledged; ``alert`` is its newest transition."""
    head = f"⏰ Still open: {' '.join(alert.title.split())}"
    lines = _point(alert, now)
    if now > alert.at:
        lines.append(f"Nobody has acknowledged it for {duration_text(now - alert.at)}.")
    blocks: list[Block] = [_header(head), _section(lines)]
    if to_do := _to_do(alert):
        blocks.append(_section(to_do))
    blocks.append(_context(alert, link))
    return SlackMessage(text=_sentence(alert, head), blocks=tuple(blocks))


def span(alerts: Sequence[Alert]) -> tuple[datetime, datetime]:
    """From the first to the last of these transitions."""
    return min(alert.at for alert in alerts), max(alert.at for alert in alerts)


def digest_message(
    alerts: Sequence[Alert], since: datetime, until: datetime, link_to: LinkTo = no_link
) -> SlackMessage:
    """What happened between two times, in one message: the newest transition of each alert.

    What is open comes first, the worst at the top; then what is acknowledged, then what is over.
    """
    newest: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda one: one.number):
        newest[alert.alert_id] = alert
    known = sorted(newest.values(), key=_urgency)
    over = sum(alert.transition == "resolved" for alert in known)
    count = f"{len(known)} {'alert' if len(known) == 1 else 'alerts'}"
    head = f"📋 {count}: {len(known) - over} open, {over} resolved"
    blocks: list[Block] = [_header(head)]
    shown = known[:DIGEST_SHOWN]
    lines = [_digest_line(alert, link_to) for alert in shown]
    blocks += [_section(lines[first : first + 10]) for first in range(0, len(lines), 10)]
    if len(known) > len(shown):
        blocks.append(_section([f"and {len(known) - len(shown):,} more"]))
    period = f"{slack_date(since)} – {slack_date(until)}"
    blocks.append(ContextBlock(elements=[mrkdwn(period)]))
    text = f"{head}, {utc_text(since)} – {utc_text(until)}."
    return SlackMessage(text=text, blocks=tuple(blocks))


def _point(alert: Alert, now: datetime) -> list[str]:
    """How much of what, whose, since when, and what the rule has to say about it."""
    # The start of a calendar period is a date, of anything else a minute.
    since = slack_date(alert.since, time=is_episode(alert))
    where = [escaped(on_one_line(who(alert), 2 * _NAME_LIMIT)), f"since {since}"]
    if alert.transition == "resolved":
        where.append(lasted(alert) or f"resolved {slack_date(alert.at)}")
    elif left := time_left(alert, now):
        where.append(left)
    return [*_figures(alert), " · ".join(where), *_detail(alert)]


def _figures(alert: Alert) -> list[str]:
    if (amount := _amount(alert)) is None:
        return []
    if (part := share(alert)) and alert.value is not None and alert.limit is not None:
        return [f"{bar(alert.value, alert.limit)} *{part}* · {amount}"]
    return [f"*{amount[0].upper()}{amount[1:]}*"]


def _detail(alert: Alert) -> list[str]:
    if alert.transition == "acknowledged":
        return []
    lines = [escaped(detail)] if (detail := alert.detail.strip()) else []
    if alert.transition == "restated":
        lines.insert(0, "It was resolved and holds again: late data, a correction or a new limit.")
    return lines


def _amount(alert: Alert) -> str | None:
    amount = how_much(alert)
    return None if amount is None else escaped(on_one_line(amount, _AMOUNT_LIMIT))


def _top(alert: Alert) -> list[str]:
    contributors = alert.contributors
    if not contributors:
        return []
    lines = ["*Top contributors*"]
    for one in contributors[:CONTRIBUTORS_SHOWN]:
        name = escaped(on_one_line(one.name, _NAME_LIMIT)) or "(no name)"
        facts = [_cost(one, alert)]
        facts.append(f"{one.calls:,} {'call' if one.calls == 1 else 'calls'}")
        if one.tokens is not None:
            facts.append(f"{number_text(one.tokens)} tokens")
        lines.append(f"• {name}: {', '.join(facts)}")
    if len(contributors) > CONTRIBUTORS_SHOWN:
        lines.append(f"and {len(contributors) - CONTRIBUTORS_SHOWN:,} more")
    return lines


def _cost(one: Contributor, alert: Alert) -> str:
    if one.cost is None:
        return "cost not known"
    cost = amount_text(one.cost, "USD")
    # Beside another currency a dollar may be anybody's.
    return cost.replace("$", "US$") if is_money(alert.unit) and "USD" not in alert.unit else cost


def _to_do(alert: Alert) -> list[str]:
    lines = [escaped(action)] if (action := alert.action.strip()) else []
    if alert.review and alert.transition != "acknowledged":
        lines.append(f"It stays open until somebody acknowledges it: `{_ACK} {alert.alert_id}`")
    return ["*What to do*", *lines] if lines else []


def _context(alert: Alert, link: str | None) -> Block:
    parts = [link_text(link, "Open in spendstream"), f"alert `{alert.alert_id}`"]
    if not is_episode(alert):  # else it is what `since` says
        parts.append(escaped(on_one_line(alert.period, _NAME_LIMIT)))
    return ContextBlock(elements=[mrkdwn(" · ".join(filter(None, parts)))])


def _sentence(alert: Alert, head: str) -> str:
    amount = how_much(alert)
    if amount and (part := share(alert)):
        amount += f" ({part})"
    facts = [amount, on_one_line(who(alert), 2 * _NAME_LIMIT), f"since {utc_text(alert.since)}"]
    return cut(escaped(f"{head.rstrip('.')}: {', '.join(filter(None, facts))}."), SECTION_LIMIT)


def _urgency(alert: Alert) -> tuple[int, int, datetime]:
    return (_HANDLED.get(alert.transition, 0), -RANK[alert.severity], alert.at)


def _digest_line(alert: Alert, link_to: LinkTo) -> str:
    mark = {"resolved": "✅", "acknowledged": "👀"}.get(alert.transition, MARK[alert.severity])
    title = cut(escaped(on_one_line(alert.title, HEADER_LIMIT)), _TITLE_LIMIT)
    facts = [*filter(None, [_amount(alert)])]
    if alert.transition == "acknowledged" and alert.by:
        facts.append(f"acknowledged by {escaped(on_one_line(alert.by, 60))}")
    link = link_text(link_to(alert), "details")
    line = cut(" · ".join([f"{mark} *{title}*", *facts]), _LINE_LIMIT)
    # A link is left out rather than cut.
    return f"{line} {link}" if link and len(line) + len(link) < _LINE_LIMIT else line


def _header(head: str) -> Block:
    return HeaderBlock(text=PlainTextObject(text=on_one_line(head, HEADER_LIMIT), emoji=True))


def _section(lines: Iterable[str]) -> Block:
    return SectionBlock(text=mrkdwn("\n".join(lines)))
