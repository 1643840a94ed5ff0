"""A comparison for machines, and the words for its causes."""

from __future__ import annotations

from typing import Any

from streams.guard.money import usd
from streams.invoices.attribution import (
    BESIDE,
    DUPLICATE,
    MISSING,
    NOT_ON_INVOICE,
    PRICE,
    TIME_ZONE,
    TOKEN_CLASS,
    TRUED_UP,
    UNEXPLAINED,
    UNPRICED,
    Parts,
)
from streams.invoices.variance import Row, Variance

MEANING = {
    MISSING: "they count tokens that were not metered",
    DUPLICATE: "tokens were metered that they do not count: repeats, or billed in another month",
    PRICE: "the same tokens at another rate",
    TOKEN_CLASS: "the same tokens, split otherwise into cached and uncached",
    TIME_ZONE: "the invoice's days begin at another hour",
    UNPRICED: "tokens were metered that no price is known for",
    NOT_ON_INVOICE: "models were metered that the invoice does not have",
    BESIDE["credit"]: "credits and refunds",
    BESIDE["fee"]: "what is not charged by the token",
    BESIDE["tax"]: "taxes",
    TRUED_UP: "true-ups that the ledger has",
    UNEXPLAINED: "no rate or no kind of tokens is known",
}
"""What each cause says."""


def as_document(found: Variance) -> dict[str, Any]:
    """The comparison: USD as exact decimal text; tokens null where the invoice has none."""
    rows = found.rows
    return {
        "provider": found.span.provider,
        "month": f"{found.month:%Y-%m}",
        "first_day": str(found.span.first),
        "last_day": str(found.span.last),
        "days_of_zone": found.zone,
        "by": "month" if found.monthly else "day",
        "invoice_lines": found.lines,
        "invoiced_usd": text(sum(row.invoiced for row in rows)),
        "metered_usd": text(sum(row.metered for row in rows)),
        "trued_up_usd": text(sum(row.trued_up for row in rows)),
        "variance_usd": text(sum(row.variance for row in rows)),
        "ledger_usd_on_other_days": text(found.outside),
        "attribution_usd": _parts(found.parts),
        "models": [_row(row, found, with_day=False) for row in found.by_model()],
        "rows": [_row(row, found, with_day=True) for row in rows],
    }


def text(pico: int) -> str:
    """Pico-dollars as USD, in full."""
    return f"{usd(pico).normalize():f}"


def _row(row: Row, found: Variance, *, with_day: bool) -> dict[str, Any]:
    day = {} if not with_day or found.monthly else {"day": str(row.cell.day)}
    return day | {
        "model": row.cell.model or None,
        "invoiced_usd": text(row.invoiced),
        "metered_usd": text(row.metered),
        "trued_up_usd": text(row.trued_up),
        "variance_usd": text(row.variance),
        "invoiced_tokens": row.invoiced_tokens,
        "metered_tokens": row.metered_tokens,
        "attribution_usd": _parts(row.parts),
    }


def _parts(parts: Parts) -> dict[str, str]:
    return {cause: text(amount) for cause, amount in parts.items()}
