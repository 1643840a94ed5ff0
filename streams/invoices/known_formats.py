"""All formats by name, in the order in which a header is tried."""

from __future__ import annotations

from streams.invoices.cloud_formats import AWS, AZURE, GOOGLE
from streams.invoices.focus_format import FOCUS
from streams.invoices.formats import Format
from streams.invoices.vendor_formats import ANTHROPIC, OPENAI

FORMATS: dict[str, Format] = {
    form.name: form for form in (OPENAI, ANTHROPIC, AWS, FOCUS, AZURE, GOOGLE)
}
"""FOCUS before Azure and Google: their exports of it may have columns of their own beside it."""
