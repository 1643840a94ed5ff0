"""Schedules side by side: stretches of time in which none of them changes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from streams.rating.cards import RateCard
from streams.rating.override_model import FALLBACK, RATE_KEYS
from streams.rating.schedule import EPOCH, MINUTES_PER_DAY, Schedule

PER_CALL = "per_call"
"""Stands among the buckets for the price of a call as such, in USD."""

Rates = dict[tuple[int | None, str], str | None]
"""(above input tokens, bucket) → USD per million tokens, exact decimal text; None: not known."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``start`` until ``end``, minutes since the epoch (None: open), at ``hours`` of the day
    (None: all day), each schedule has this card. ``day_minute``: the first one of these hours.
    """

    start: int
    end: int | None
    day_minute: int
    hours: str | None
    cards: tuple[RateCard | None, ...]


def stretches(*schedules: Schedule) -> Iterator[Stretch]:
    """Every stretch, in order of time; those of a day by hours."""
    starts = sorted({period.start for schedule in schedules for period in schedule.periods})
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        periods = [
            schedule.periods[bisect_right(schedule.periods, start, key=lambda p: p.start) - 1]
            for schedule in schedules
        ]
        edges = sorted({window.start for period in periods for window in period.windows})
        ends = [*edges[1:], MINUTES_PER_DAY]
        hours: dict[tuple[RateCard | None, ...], list[tuple[int, int]]] = {}
        for opens, closes in zip(edges, ends, strict=True):
            cards = tuple(period.card_at(opens) for period in periods)
            hours.setdefault(cards, []).append((opens, closes))
        for cards, parts in hours.items():
            text = None if len(hours) == 1 else _hours(parts)
            yield Stretch(start, end, parts[0][0], text, cards)


def instant(minute: int | None) -> datetime | None:
    """The instant of a minute since the epoch; None for None, and for the epoch: open."""
    return EPOCH + timedelta(minutes=minute) if minute else None


def rates_at(card: RateCard | None, thresholds: Sequence[int]) -> Rates:
    """What a card charges above each threshold, whether it is one of its own or not."""
    found: Rates = {}
    for above in (None, *thresholds):
        if card is None:
            found |= {(above, name): None for name in (*RATE_KEYS, PER_CALL)}
            continue
        level = 0 if above is None else bisect_right(card.thresholds, above)
        named = card.usd_per_million(level)
        found |= {(above, key): named[bucket] for key, bucket in RATE_KEYS.items()}
        found[above, PER_CALL] = card.usd_per_call(level)
    return found


def telling(rates: Mapping[str, object]) -> list[str]:
    """The buckets without those that are charged like what they are a part of."""
    return [
        key
        for key in rates
        if not any(rates.get(parent) == rates[key] for parent in FALLBACK.get(key, ()))
    ]


def percent(old: str | None, new: str | None) -> Decimal | None:
    """By how much the price changed, to a hundredth of a percent; None where that says nothing."""
    if old is None or new is None or not Decimal(old):
        return None
    return ((Decimal(new) / Decimal(old) - 1) * 100).quantize(Decimal("0.01"))


def percent_text(change: Decimal | None) -> str:
    """`+10 %`, `-12.5 %`."""
    return "–" if change is None else f"{change.normalize():+f} %"


def _hours(parts: Sequence[tuple[int, int]]) -> str:
    """Hours of a day; those until and from midnight are one."""
    if len(parts) > 1 and parts[0][0] == 0 and parts[-1][1] == MINUTES_PER_DAY:
        parts = [*parts[1:-1], (parts[-1][0], parts[0][1])]
    return ", ".join(f"{_clock(opens)}-{_clock(closes)}" for opens, closes in parts) + " UTC"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
