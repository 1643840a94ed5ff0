"""OpenAI's and Anthropic's cost exports.

OpenAI: the costs export of the usage dashboard, grouped by line item; days are UTC, and so are
Anthropic's in the cost export of its Console. Anthropic's has no quantities.
"""

from __future__ import annotations

from streams.imports.source import Passed
from streams.imports.values import invalid
from streams.invoices.formats import Format, Row, amount_text, days, first, number
from streams.invoices.line import CACHE_READ, CACHE_WRITE, INPUT, OUTPUT, Charge, Said
from streams.invoices.words import token_class, tokens_of

_ANTHROPIC_CLASSES = {
    "input_no_cache": INPUT,
    "uncached_input_tokens": INPUT,
    "input_cache_read": CACHE_READ,
    "cache_read_input_tokens": CACHE_READ,
    "output": OUTPUT,
    "output_tokens": OUTPUT,
}


def _openai(row: Row) -> Said:
    if not first(row, "amount_value"):
        raise Passed("no_amount", "a day without costs")
    item = first(row, "line_item")
    if not item:
        raise invalid("line_item: is empty; export the costs grouped by line item")
    day, last = days(row, "UTC", ("start_time_iso", "start_time"), ("end_time_iso", "end_time"))
    model, _, kind = item.partition(",")
    found = token_class(kind)
    unit = first(row, "quantity_unit") or "tokens"
    return Said(
        day,
        last,
        first(row, "project_id", "organization_id"),
        model.strip(),
        item,
        "usage" if found else _other(item),
        found,
        tokens_of(number(row, "quantity"), unit) if found else None,
        amount_text(row, "amount_value"),
        first(row, "amount_currency").upper() or "USD",
        about=tuple(first(row, name) for name in ("user_id", "api_key_id", "api_source")),
    )


def _other(item: str) -> Charge:
    words = item.lower()
    if "credit" in words or "grant" in words:
        return "credit"
    return "tax" if "tax" in words.split() or "vat" in words.split() else "fee"


def _anthropic(row: Row) -> Said:
    day, last = days(row, "UTC", ("usage_date_utc",), ())
    kind = first(row, "token_type")
    found = _ANTHROPIC_CLASSES.get(kind)
    if found is None and "cache_write" in kind.replace("creation", "write"):
        found = CACHE_WRITE
    is_tokens = first(row, "cost_type") in ("", "token", "tokens")
    if is_tokens and found is None:
        raise invalid(f"token_type: is {kind!r}; input_no_cache, output or such was expected")
    model = first(row, "model")
    about = ("usage_type", "context_window", "inference_geo", "speed", "api_key_id")
    return Said(
        day,
        last,
        first(row, "workspace"),
        model,
        " ".join(filter(None, (model, kind, first(row, "cost_type")))),
        "usage" if is_tokens else "fee",
        found if is_tokens else None,
        None,
        amount_text(row, "cost_usd"),
        "USD",
        about=tuple(first(row, name) for name in (*about, "api_key")),
    )


OPENAI = Format(
    "openai",
    "OpenAI costs export",
    "UTC",
    (("start_time_iso", "start_time"), ("amount_value",), ("amount_currency",), ("line_item",)),
    _openai,
)
ANTHROPIC = Format(
    "anthropic",
    "Anthropic cost export",
    "UTC",
    (("usage_date_utc",), ("model",), ("token_type",), ("cost_usd",)),
    _anthropic,
)
