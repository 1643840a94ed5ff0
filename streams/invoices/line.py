"""A line of an invoice: what is charged for which day, model and kind of tokens."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

Charge = Literal["usage", "fee", "credit", "tax"]
"""``usage``: tokens; ``fee``: what is not charged by the token, such as searches or storage."""

INPUT, CACHE_READ, CACHE_WRITE, OUTPUT = "input", "cache_read", "cache_write", "output"
CLASSES = (INPUT, CACHE_READ, CACHE_WRITE, OUTPUT)
"""Kinds of tokens that invoices tell apart, disjoint. Images and audio count with them."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line as the export says it, before it is matched with our models and converted to USD.

    ``day`` and ``last_day`` are days of the format's zone. ``own_id``: the export's identity of the
    line, empty where it has none. ``about`` is what else tells lines apart (region, tier, …).
    """

    day: date
    last_day: date
    account: str
    model: str
    sku: str
    charge: Charge
    token_class: str | None
    tokens: int | None
    amount: str
    currency: str
    own_id: str = ""
    about: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What identifies it: the export's own id, or all that is neither amount nor quantity."""
        if self.own_id:
            return self.own_id
        days = (str(self.day), str(self.last_day))
        return "\0".join((*days, self.account, self.sku, self.charge, self.currency, *self.about))


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is kept: with the model as our events say it, and the amount in USD."""

    line_id: str
    number: int
    said: Said
    model: str | None
    amount: Decimal
    units_per_usd: Decimal | None
    usd: Decimal


class Identities:
    """Ids of the lines of one export: of equal lines the first, the second, and so on differ."""

    def __init__(self, provider: str, form: str) -> None:
        self._of = f"{provider}\0{form}"
        self._seen: Counter[bytes] = Counter()

    def next(self, said: Said) -> str:
        """The id of the next line: the same whenever an export with it is read again."""
        key = hashlib.blake2b(f"{self._of}\0{said.key}".encode(errors="replace"), digest_size=16)
        occurrence = self._seen[key.digest()]
        self._seen[key.digest()] += 1
        return f"{key.hexdigest()}-{occurrence}"
