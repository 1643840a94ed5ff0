"""What a URL asks for: period, scope, currency; and the URLs that ask for something next to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from urllib.parse import urlencode

from reports.figures.lens import DIMENSIONS, NOBODY, USD, Lens
from reports.figures.period import Period, presets
from reports.viewer import Viewer
from schemas.errors import UserError

_OTHERS = ("from", "to", "currency", "event")
NONE = "(none)"
"""In a URL: what names none. Empty will not do, as a form sends that for what was left open."""
_LONGEST_NAME = 256
_MOST_NAMES = 50
"""Of one dimension. A URL that a person made has a few."""


@dataclass(frozen=True, slots=True)
class Asked:
    """``period`` None: none was asked for, and it is this month so far. ``event``: the id of one
    that is to be explained; it is kept over no navigation."""

    today: date
    period: Period | None = None
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    currency: str = USD
    event: str | None = None

    @classmethod
    def read(cls, query: Mapping[str, str], today: date) -> Asked:
        """From a query string. A name may be repeated, where ``query`` is a multidict.

        Raises UserError, in one line, for what it does not know or cannot be.
        """
        values: dict[str, list[str]] = {}
        for name, value in query.items():
            if name not in DIMENSIONS and name not in _OTHERS:
                raise UserError(_unknown(name))
            if value not in values.setdefault(name, []):
                values[name].append(value)
        scope = {name: _names(name, values[name]) for name in DIMENSIONS if _given(name, values)}
        event = next(iter(_names("event", values.get("event", []))), None)
        return cls(today, _period(values, today), scope, _currency(values), event)

    def lens(self, viewer: Viewer) -> Lens:
        """What queries are made of."""
        period = self.period or presets(self.today)["This month"]
        return Lens(period, self.today, viewer, self.scope, self.currency)

    def url(self, path: str) -> str:
        """The same question at a path."""
        pairs: list[tuple[str, str]] = []
        if self.period is not None:
            pairs += [("from", str(self.period.first)), ("to", str(self.period.last))]
        pairs += [(name, one or NONE) for name, names in self.scope.items() for one in names]
        if self.currency != USD:
            pairs.append(("currency", self.currency))
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def event_url(self, path: str, event: str) -> str:
        """The same question, and an event to be explained."""
        url = self.url(path)
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'event': event})}"

    def during(self, period: Period) -> Asked:
        """Of another time."""
        return replace(self, period=period)

    def of(self, dimension: str, name: str | None) -> Asked:
        """Narrowed to one name; None: to what names none."""
        return replace(self, scope={**self.scope, dimension: (name or NOBODY,)})

    def without(self, dimension: str, name: str) -> Asked:
        """No longer narrowed to a name."""
        left = tuple(one for one in self.scope.get(dimension, ()) if one != name)
        others = {key: names for key, names in self.scope.items() if key != dimension}
        return replace(self, scope={**others, **({dimension: left} if left else {})})


def _unknown(name: str) -> str:
    known = (*_OTHERS, *DIMENSIONS)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"{name[:40]}: there is no such filter; {hint}"


def _given(name: str, values: Mapping[str, list[str]]) -> bool:
    return any(value.strip() for value in values.get(name, []))


def _names(dimension: str, values: Iterable[str]) -> tuple[str, ...]:
    names = tuple(value for value in values if value.strip())
    if len(names) > _MOST_NAMES:
        raise UserError(f"{dimension}: {len(names)} names; at most {_MOST_NAMES} are compared")
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise UserError(f"{dimension}: {name[:40]!r} is no name")
    return tuple(NOBODY if name == NONE else name for name in names)


def _currency(values: Mapping[str, list[str]]) -> str:
    given = [value for value in values.get("currency", []) if value.strip()] or [USD]
    code = given[-1].strip().upper()
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise UserError(f"currency: {given[-1][:40]!r} is no currency; write it like HKD")
    return code


def _period(values: Mapping[str, list[str]], today: date) -> Period | None:
    first, last = (_day(name, values, today) for name in ("from", "to"))
    if first is None:
        return None if last is None else Period.of(last.replace(day=1), last)
    return Period.of(first, last or max(today, first))


def _day(name: str, values: Mapping[str, list[str]], today: date) -> date | None:
    given = [value for value in values.get(name, []) if value.strip()]
    if not given:
        return None
    if len(given) > 1:
        raise UserError(f"{name}: {' and '.join(given)[:60]}; give one day")
    try:
        return date.fromisoformat(given[0].strip())
    except ValueError:
        raise UserError(f"{name}: {given[0][:40]!r} is no day; write it like {today}") from None
