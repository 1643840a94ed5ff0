"""An alert as a Slack message: Block Kit, and one sentence for where blocks are not shown.

Slack refuses a message as a whole when one text is too long, so every text is cut to its limit
here: https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext

from slack_sdk.models.blocks import (
    Block,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from schemas.alerts import Alert, Contributor, Severity

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
FIELD_LIMIT = 2000
CONTRIBUTORS_SHOWN = 5
"""More do not fit on a telephone; the rest is counted, and behind the link."""

_NAME_LIMIT = 80  # keeps one line of the list, and the sentence, readable
_LINK_LIMIT = 2000  # a link cannot be cut: a longer one is left out
_SMALLEST = Decimal("1e-12")  # the scale of all money here, so never a row of zeros
_MARK: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "critical": "🚨"}
_SYMBOL = {"USD": "$", "EUR": "€", "GBP": "£"}


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """What an incoming webhook takes: ``text`` (mrkdwn, for notifications) and ``blocks``."""

    text: str
    blocks: tuple[Block, ...]


def slack_message(alert: Alert, link: str | None) -> SlackMessage:
    """The message of one transition; ``link`` is an http(s) address with more about the alert."""
    headline = _headline(alert)
    blocks: list[Block] = [
        HeaderBlock(text=PlainTextObject(text=_clipped(headline, HEADER_LIMIT), emoji=True)),
        SectionBlock(fields=[_mrkdwn(field, FIELD_LIMIT) for field in _fields(alert)]),
    ]
    if alert.detail.strip():
        blocks.insert(1, SectionBlock(text=_mrkdwn(escaped(alert.detail.strip()))))
    if alert.contributors:
        blocks.append(SectionBlock(text=_mrkdwn(_top(alert.contributors, alert.unit))))
    if alert.action.strip():
        blocks.append(SectionBlock(text=_mrkdwn(f"*What to do*\n{escaped(alert.action.strip())}")))
    blocks.append(ContextBlock(elements=[_mrkdwn(part) for part in _context(alert, link)]))
    return SlackMessage(text=_sentence(alert, headline), blocks=tuple(blocks))


def escaped(text: str) -> str:
    """``text`` with the three characters that mrkdwn reads as markup as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def amount_text(amount: Decimal, unit: str) -> str:
    """An amount for a reader: `$1,234.50`, `$0.00412`, `CHF 12.00`, `1,234 calls`.

    A unit of three capitals is a currency (ISO 4217). Money has two decimals from 1 upwards and
    three significant digits below, so that no positive amount reads as zero. Half goes to even.
    """
    if not _is_currency(unit):
        whole = amount == amount.to_integral_value()
        return f"{amount:,.0f} {unit}" if whole else f"{amount:,.3f} {unit}"
    symbol = _SYMBOL.get(unit, f"{unit} ")
    sign = "-" if amount < 0 else ""
    size = abs(amount)
    if 0 < size < _SMALLEST:
        return f"{sign}under {symbol}{_SMALLEST:f}"
    if size == 0 or size >= 1:
        return f"{sign}{symbol}{size:,.2f}"
    whole_part, decimals = f"{size:.{2 - size.adjusted()}f}".split(".")
    return f"{sign}{symbol}{whole_part}.{decimals.rstrip('0').ljust(2, '0')}"


def _is_currency(unit: str) -> bool:
    return re.fullmatch("[A-Z]{3}", unit) is not None


def _how_much(alert: Alert) -> str | None:
    if alert.value is None and alert.limit is None:
        return None
    value = "not known" if alert.value is None else amount_text(alert.value, alert.unit)
    if alert.limit is None:
        return value
    limit = amount_text(alert.limit, alert.unit)
    if alert.value is None or not _is_currency(alert.unit):
        return f"{value} (limit {limit})"
    return f"{value} of {limit}{_percent(alert.value, alert.limit)}"


def _percent(value: Decimal, limit: Decimal) -> str:
    if value < 0 or limit <= 0:
        return ""
    # Cut, not rounded: a budget is at 100 % when it is used up, and not a cent before. The default
    # 28 digits would round the 38 of the ledger up.
    with localcontext(prec=80):
        share = value * 100 / limit
    return " (under 1 %)" if 0 < share < 1 else f" ({int(share):,} %)"


def _headline(alert: Alert) -> str:
    title = " ".join(alert.title.split())
    if alert.transition == "resolved":
        return f"✅ Resolved: {title}"
    if alert.transition == "escalated":
        return f"{_MARK[alert.severity]} Escalated: {title}"
    return f"{_MARK[alert.severity]} {title}"


def _fields(alert: Alert) -> list[str]:
    fields = [f"*Who*\n{escaped(alert.scope_text) or 'everyone'}"]
    if how_much := _how_much(alert):
        fields.append(f"*How much*\n{escaped(how_much)}")
    fields.append(f"*Since*\n{_slack_date(alert.since)}")
    if alert.transition == "resolved":
        fields.append(f"*Resolved*\n{_slack_date(alert.at)}")
    fields.append(f"*Period*\n{_period(alert.period)}")
    fields.append(f"*Level*\n{alert.severity}")
    return fields


def _top(contributors: tuple[Contributor, ...], unit: str) -> str:
    lines = ["*Top contributors*"]
    for one in contributors[:CONTRIBUTORS_SHOWN]:
        name = escaped(_clipped(" ".join(one.name.split()), _NAME_LIMIT)) or "(no name)"
        cost = "cost not known" if one.cost is None else escaped(amount_text(one.cost, "USD"))
        lines.append(f"• {name}: {cost}, {one.calls:,} {'call' if one.calls == 1 else 'calls'}")
    if len(contributors) > CONTRIBUTORS_SHOWN:
        lines.append(f"and {len(contributors) - CONTRIBUTORS_SHOWN:,} more")
    return "\n".join(lines)


def _context(alert: Alert, link: str | None) -> list[str]:
    parts = [
        f"alert `{alert.alert_id}`",
        escaped(f"{alert.rule}, threshold {alert.threshold}"),
        escaped(f"evidence: {alert.journal} at {alert.position}"),
    ]
    # A link in the text, not a button: Slack marks a button with a warning sign once it is
    # clicked, unless the app answers interactions, and an incoming webhook cannot.
    if link is not None and len(address := _link_address(link)) <= _LINK_LIMIT:
        parts.insert(0, f"<{address}|Open in spendstream>")
    return parts


def _link_address(link: str) -> str:
    for character in "<>| \n":
        link = link.replace(character, f"%{ord(character):02X}")
    return escaped(link)


def _sentence(alert: Alert, headline: str) -> str:
    who = _clipped(alert.scope_text, 2 * _NAME_LIMIT) or "everyone"
    facts = [who, *filter(None, [_how_much(alert)]), f"since {_utc(alert.since)}"]
    return _cut_mrkdwn(escaped(f"{headline.rstrip('.')}: {', '.join(facts)}."), SECTION_LIMIT)


def _period(period: str) -> str:
    if "T" in period:
        try:
            start = datetime.fromisoformat(period)
        except ValueError:
            return escaped(period)
        if start.tzinfo is not None:
            return f"from {_slack_date(start)}"
    return escaped(period)


def _slack_date(moment: datetime) -> str:
    """The moment in each reader's own zone; UTC where Slack cannot format it."""
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time}}|{_utc(moment)}>"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _cut_mrkdwn(text: str, limit: int) -> str:
    """Escaped text cut to ``limit`` characters, never inside an entity."""
    if len(text) <= limit:
        return text
    return re.sub(r"&[a-z]*$", "", text[: limit - 1]) + "…"


def _mrkdwn(text: str, limit: int = SECTION_LIMIT) -> MarkdownTextObject:
    # verbatim: a team that is called @channel or #general must not notify or link anything.
    return MarkdownTextObject(text=_cut_mrkdwn(text, limit), verbatim=True)
