"""A month of the simulated company in ClickHouse, landed by the product's code, and the answers.

The events go the way of every event (encoded by the client, metered, rated, rolled up, written);
what is true of them is worked out from what was generated, one call at a time, in Python.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cached_property
from typing import Any

from spendstream._avro import encode

from schemas.journal import Counted, SourcePartition
from schemas.outcome import checked_outcome
from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS
from schemas.wire import no_registry
from sinks.archive import Archive, Landed
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.outcomes import Outcomes, Read, Reported
from streams.landing.archive import archive_rows
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from streams.repricing.prices import record_prices
from streams.traffic.company_month import Call, CompanyMonth
from streams.traffic.company_tiers import TIER_DOWN
from tests.support.ledger_rows import JOURNAL, SOURCE
from tests.support.records import Record

DAYS_PER_ENTRY = 16
"""Few, large entries: a month in two."""
PREFIX_LIFETIME = timedelta(minutes=5)
LEAST_PREFIX_TOKENS = 1024
FAILED = frozenset({"error", "timeout", "rate_limited", "cancelled"})
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_SCALE = Decimal("1e-12")
_MILLION = Decimal(10**6)


@dataclass(frozen=True, slots=True)
class KnownCall:
    """One call. ``cost`` is USD, None: not known; ``down_cost`` what it would have cost one tier
    down, where that would do. ``cacheable_tokens``: of its prompt, billed in full although the same
    team had sent the same prefix to the same model within five minutes."""

    fields: Mapping[str, Any]
    cost: Decimal | None
    duplicate: bool
    down_cost: Decimal | None
    cacheable_tokens: int = 0

    def __getitem__(self, name: str) -> Any:
        return self.fields.get(name)

    @property
    def is_shadow(self) -> bool:
        """Asked beside a real call."""
        return self["shadow_of"] is not None

    @property
    def is_failed(self) -> bool:
        """It brought no answer."""
        return self["status"] in FAILED

    @property
    def is_retry(self) -> bool:
        """An attempt after the first."""
        return self["attempt"] > 1

    @property
    def prompt_tokens(self) -> int:
        """All buckets of the prompt."""
        return sum(self[name] or 0 for name in INPUT_BUCKETS)


@dataclass(frozen=True)
class MonthTruth:
    """What is true of the month. Costs are exact USD, of the calls whose cost is known."""

    month: date
    calls: tuple[KnownCall, ...] = field(repr=False)
    """All of them, shadows too, ordered by time."""
    outcomes: tuple[Mapping[str, Any], ...] = field(repr=False)

    @property
    def first(self) -> date:
        """The first day."""
        return self.month

    @cached_property
    def last(self) -> date:
        """The last day."""
        return (self.month + timedelta(days=31)).replace(day=1) - timedelta(days=1)

    @cached_property
    def work(self) -> tuple[KnownCall, ...]:
        """Calls without shadows."""
        return tuple(call for call in self.calls if not call.is_shadow)

    @cached_property
    def cost(self) -> Decimal:
        """Of everything, shadows too."""
        return cost_of(self.calls)

    @cached_property
    def requests(self) -> tuple[KnownCall, ...]:
        """First attempts that were answered by a provider: what could be a duplicate."""
        return tuple(
            call
            for call in self.work
            if not call.is_failed and not call.is_retry and not call["served_from_cache"]
        )

    @cached_property
    def duplicates(self) -> tuple[KnownCall, ...]:
        """Requests whose prompt the same model had answered to the same team, the same day."""
        return tuple(call for call in self.calls if call.duplicate)

    @cached_property
    def dear(self) -> tuple[KnownCall, ...]:
        """Calls that say a tier which is not the cheapest."""
        return tuple(call for call in self.work if call["routing_tier"] in TIER_DOWN)

    @cached_property
    def routable(self) -> tuple[KnownCall, ...]:
        """Those of `dear` that would have done as well one tier down."""
        return tuple(call for call in self.dear if call.down_cost is not None)

    @property
    def duplicate_share(self) -> Decimal:
        """Of the requests, 0 to 1."""
        return Decimal(len(self.duplicates)) / len(self.requests)

    @property
    def routable_share(self) -> Decimal:
        """Of the calls on dearer tiers, 0 to 1."""
        return Decimal(len(self.routable)) / len(self.dear)

    @cached_property
    def routable_saved(self) -> Decimal:
        """What `routable` cost, less what it would have cost one tier down."""
        down = sum((call.down_cost or Decimal(0) for call in self.routable), Decimal(0))
        return cost_of(self.routable) - down

    @cached_property
    def cacheable_share(self) -> Decimal:
        """Of the prompt tokens without shadows: how many are cacheable, 0 to 1."""
        cacheable = sum(call.cacheable_tokens for call in self.work)
        return Decimal(cacheable) / Decimal(sum(call.prompt_tokens for call in self.work))

    def where(self, chosen: Callable[[KnownCall], bool]) -> tuple[KnownCall, ...]:
        """The calls that are chosen, shadows too."""
        return tuple(call for call in self.calls if chosen(call))

    def cost_by(self, *names: str, shadows: bool = True) -> dict[Any, Decimal]:
        """By one field, or by a tuple of several; members whose cost is not known are left out."""
        sums: defaultdict[Any, Decimal] = defaultdict(Decimal)
        for call in self.calls if shadows else self.work:
            if call.cost is not None:
                sums[_key(call, names)] += call.cost
        return dict(sums)

    def calls_by(self, *names: str, shadows: bool = True) -> dict[Any, int]:
        """How many, by one field, or by a tuple of several."""
        counts: defaultdict[Any, int] = defaultdict(int)
        for call in self.calls if shadows else self.work:
            counts[_key(call, names)] += 1
        return dict(counts)


def _key(call: KnownCall, names: Sequence[str]) -> Any:
    key = tuple(call[name] for name in names)
    return key[0] if len(names) == 1 else key


def cost_of(calls: Iterable[KnownCall]) -> Decimal:
    """Exact USD, of those that are known."""
    whole = Decimal(0)
    for call in calls:
        if call.cost is not None:
            whole = _EXACT.add(whole, call.cost)
    return whole


def fill_month(
    clickhouse: ClickHouse,
    month: date,
    *,
    thinned: int = 25,
    seed: int = 1,
    book: PriceBook | None = None,
    outcomes: bool = True,
) -> MonthTruth:
    """Land the month that ``month`` is in (UTC) in a migrated database; what is true of it.

    After what landed before: call it again for another month. ``thinned``: one of so many calls is
    made, 25 makes about 65,000. ``book``: list prices unless given.
    """
    book = book or PriceBook.load()
    ledger, archive = Ledger(clickhouse, JOURNAL), Archive(clickhouse, SOURCE)
    position, offset = ledger.progress().position + 1, archive.next_offsets().get(0, 0)
    days = list(CompanyMonth(month, thinned, seed).days())
    for start in range(0, len(days), DAYS_PER_ENTRY):
        calls = [call for day in days[start : start + DAYS_PER_ENTRY] for call in day.calls]
        offset = _land(ledger, archive, book, calls, position, offset)
        position += 1
    calls = [call for day in days for call in day.calls]
    keys = {(call.fields["provider"], call.fields["model"], None, None) for call in calls}
    record_prices(clickhouse, book, sorted(keys))
    reported = [outcome for day in days for outcome in day.outcomes] if outcomes else []
    _land_outcomes(clickhouse, reported)
    return MonthTruth(month.replace(day=1), tuple(_known(calls, book)), tuple(reported))


def known_month(month: date, *, thinned: int = 25, seed: int = 1) -> MonthTruth:
    """What `fill_month` gives back, without a database."""
    days = list(CompanyMonth(month, thinned, seed).days())
    calls = [call for day in days for call in day.calls]
    outcomes = [outcome for day in days for outcome in day.outcomes]
    return MonthTruth(month.replace(day=1), tuple(_known(calls, PriceBook.load())), tuple(outcomes))


def _land(
    ledger: Ledger,
    archive: Archive,
    book: PriceBook,
    calls: Sequence[Call],
    position: int,
    offset: int,
) -> int:
    """One entry, recorded when its last event was; the offset that is due next."""
    records = [Record(0, offset + number, encode(call.fields)) for number, call in enumerate(calls)]
    span = Span(SOURCE, 0, offset, records)
    metered = meter_batch([span], {0: IdWindow(10**7)}, book, no_registry, 10**9)
    (draft,) = metered.drafts
    assert not metered.dead_letters
    at = calls[-1].fields["occurred_at"]
    ledger.write(position, draft.ranges, Counted(draft.ranges, None, draft.rows), at)
    events, _ = decoded_records(records, book, no_registry)
    landed = Landed(SourcePartition(SOURCE, 0), offset, records[-1].offset)
    archive.write(archive_rows(events), [landed], archive.register_source())
    return records[-1].offset + 1


def _land_outcomes(clickhouse: ClickHouse, fields: Sequence[Mapping[str, Any]]) -> None:
    if not fields:
        return
    sink = Outcomes(clickhouse, SOURCE.replace("usage", "outcomes"))
    offset = sink.next_offsets().get(0, 0)
    reported = [
        Reported(checked_outcome(dict(one)), 0, offset + number, 0)
        for number, one in enumerate(fields)
    ]
    sink.write(reported, {0: Read(offset + len(reported) - 1)})


def _known(calls: Sequence[Call], book: PriceBook) -> Iterator[KnownCall]:
    rates = _Rates(book)
    sent: dict[tuple[str, str, str, str], Any] = {}
    for call in calls:
        fields = call.fields
        cost = rates.cost(fields, fields["provider"], fields["model"])
        down = None if call.down is None else rates.cost(fields, *call.down)
        prefix, cacheable = fields.get("prefix_hash"), 0
        if prefix and not fields.get("served_from_cache") and fields.get("shadow_of") is None:
            key = (fields["team"], fields["provider"], fields["model"], prefix)
            before, sent[key] = sent.get(key), fields["occurred_at"]
            stored = sum(
                fields.get(name) or 0 for name in ("cache_read_tokens", "cache_write_5m_tokens")
            )
            if (
                before is not None
                and fields["occurred_at"] - before <= PREFIX_LIFETIME
                and fields["prefix_tokens"] >= LEAST_PREFIX_TOKENS
            ):
                cacheable = max(fields["prefix_tokens"] - stored, 0)
        yield KnownCall(fields, cost, call.duplicate, down, cacheable)


class _Rates:
    """List prices, one call at a time: tokens times USD per million, half to even at 1e-12."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._cards: dict[tuple[str, str, date], Any] = {}

    def cost(self, fields: Mapping[str, Any], provider: str, model: str) -> Decimal | None:
        if fields.get("served_from_cache"):
            return Decimal(0)
        if fields["usage_source"] == "missing":
            return None
        at = fields["occurred_at"]
        key = (provider, model, at.date())
        if key not in self._cards:
            self._cards[key] = self._levels(provider, model, at)
        levels = self._cards[key]
        if levels is None:
            return None
        thresholds, prices = levels
        prompt = sum(fields.get(name) or 0 for name in INPUT_BUCKETS)
        usd = prices[sum(prompt > limit for limit in thresholds)]
        total = Decimal(0)
        for name in BUCKET_NAMES:
            if tokens := fields.get(name):
                total = _EXACT.add(total, _EXACT.multiply(Decimal(tokens), usd[name]))
        return _EXACT.divide(total, _MILLION).quantize(_SCALE, context=_EXACT)

    def _levels(self, provider: str, model: str, at: Any) -> Any:
        card = self._book.card(provider, model, None, None, at)
        if card is None:
            return None
        prices = [
            {name: Decimal(usd) for name, usd in card.usd_per_million(level).items() if usd}
            for level in range(len(card.rates))
        ]
        return card.thresholds, prices
