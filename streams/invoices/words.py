"""What the words of an invoice mean: kinds of tokens, units, and names of models.

Providers name a model on their invoices in other words than in their API: `Claude Haiku 4.5` is
`claude-haiku-4-5-20251001`, `gpt-4o-0806-Inp-glbl Tokens` is `gpt-4o-2024-08-06`, and
`USE1-NovaLite-input-tokens` is `amazon.nova-lite-v1:0`. So names are compared by their words,
without those that say something else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

from streams.invoices.line import CACHE_READ, CACHE_WRITE, INPUT, OUTPUT

_CLASSES = (
    (CACHE_WRITE, re.compile(r"cache[ _-]?(writ|creat)|cached? (write|creation)")),
    (CACHE_READ, re.compile(r"cache[ _-]?(read|hit)|cached|caching|\bcchd\b")),
    (OUTPUT, re.compile(r"output|\bout(p|pt)?\b|reasoning|thinking")),
    (INPUT, re.compile(r"input|\bin(p|pt)?\b|prompt")),
)
_STORED = re.compile(r"storage|hour")
_UNIT = re.compile(r"(\d[\d,]*)?\s*([km]|thousand|million)?\s*(tokens?|counts?)?")
_FACTORS = {"k": 1_000, "thousand": 1_000, "m": 1_000_000, "million": 1_000_000}
_NOISE_WORDS = (
    "input inp in output outp outpt out cached cache caching read write creation token tokens text "
    "count units unit global glbl gl regional regnl rgnl dz dzone data zone batch standard std "
    "priority flex predictions prediction ga thinking reasoning on off no bedrock edition amazon "
    "anthropic meta us eu apac ai azure openai models foundry instruct latest the for of "
    "ondemand demand custom m k 1m 1k"
)
_NOISE = frozenset(_NOISE_WORDS.split())
_AWS_PLACE = re.compile(r"\b(US|EU|AP|CA|SA|ME|AF|IL|MX|UG)[A-Z]{0,2}\d?-(MP:[A-Z]{2,4}\d?_)?")
_VERSION = re.compile(r"[-_ ]v\d+(:\d+)*(:\w+)?$")
_DATE = re.compile(r"(20\d\d)[- ]?(0[1-9]|1[0-2])[- ]?([0-3]\d)(?!\d)")
_SHORT_DATE = re.compile(r"(?<![\d.])(0[1-9]|1[0-2])([0-3]\d)(?!\d)")


def token_class(text: str) -> str | None:
    """Which kind of tokens these words charge; None where they charge none."""
    words = _spaced(text)
    if _STORED.search(words):
        return None
    return next((name for name, pattern in _CLASSES if pattern.search(words)), None)


def tokens_of(quantity: Decimal | None, unit: str) -> int | None:
    """Tokens of a quantity in such a unit: `1K`, `1M Tokens`, `tokens`, `count`.

    None where the unit may be anything, as AWS's `Units`.
    """
    found = _UNIT.fullmatch(unit.strip().lower())
    if quantity is None or found is None or not any(found.groups()):
        return None
    number, factor, _ = found.groups()
    return round(quantity * int((number or "1").replace(",", "")) * _FACTORS.get(factor, 1))


def _spaced(text: str) -> str:
    """In lower case, with the words of `NovaLite`, `Claude4Sonnet` and `cache_read` apart."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", _AWS_PLACE.sub("", text))
    apart = re.sub(r"(?<=[A-Za-z]{3})(?=\d)", " ", apart)
    return re.sub(r"[^a-z0-9.]+", " ", apart.lower())


def _named(text: str) -> tuple[frozenset[str], str]:
    """The words of a model's name, and its date as month and day, empty where it has none."""
    words = _spaced(_VERSION.sub("", text))
    dated = ""
    if found := _DATE.search(words):
        dated = found[2] + found[3]
        words = words.replace(found[0], " ")
    elif found := _SHORT_DATE.search(words):
        dated = found[0]
        words = words.replace(found[0], " ")
    return frozenset(re.findall(r"[a-z0-9]+", words)) - _NOISE, dated


def plain_name(said: str) -> str:
    """What a model is called where its name stands among kinds of tokens: `nova lite`."""
    if token_class(said) is None and "edition" not in said.lower():
        return said
    words = [word for word in _spaced(said).split() if word.strip(".") not in _NOISE]
    return " ".join(words) or said


class Models:
    """Finds our name of a model that an invoice names. ``mapped``: their words → our name."""

    def __init__(self, ours: Collection[str], mapped: Mapping[str, str] | None = None) -> None:
        self._exact = {name.lower(): name for name in sorted(ours)}
        self._mapped = {words.lower(): name for words, name in (mapped or {}).items()}
        self._by_words: dict[frozenset[str], list[tuple[str, str]]] = {}
        for name in sorted(ours, key=lambda name: (len(name), name)):
            words, dated = _named(name)
            self._by_words.setdefault(words, []).append((dated, name))
        self._found: dict[tuple[str, str], str | None] = {}
        self.used: set[str] = set()
        """Words of ``mapped`` that occurred."""

    def find(self, said: str, sku: str) -> str | None:
        """Our name; None where none of ours can be meant."""
        if (said, sku) not in self._found:
            self._found[said, sku] = self._find(said, sku)
        return self._found[said, sku]

    def _find(self, said: str, sku: str) -> str | None:
        for text in (sku.lower(), said.lower()):
            for part, mapped in self._mapped.items():
                if part in text:
                    self.used.add(part)
                    return mapped
        if (exact := self._exact.get(said.lower())) is not None:
            return exact
        words, dated = _named(said)
        candidates = self._by_words.get(words, [])
        if not candidates:
            return None
        same = [name for of, name in candidates if of == dated]
        undated = [name for of, name in candidates if not of]
        return next(iter([*same, *undated, *(name for _, name in candidates)]))
