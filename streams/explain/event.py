"""One event: what it was, how its price came about, which journal entry counted it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from schemas.errors import UserError
from schemas.journal import DIMENSIONS, money_text
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.explain.arithmetic import Line, priced
from streams.explain.cell import literal
from streams.explain.step import Step, plural
from streams.rating.pricebook import PriceBook
from streams.rating.rate import SERVED_FROM_CACHE
from streams.rating.schedule import minute_of
from streams.reconciliation.sides import DERIVED, RATED

ATTRIBUTION = (
    "department",
    "team",
    "project",
    "use_case",
    "application",
    "environment",
    "user",
    "customer",
    "workflow",
)
SOURCES = 2
"""Addresses of a price's source that are shown; `prices show` has all."""
_CALL = ("region", "service_tier", "status", "error_code", "attempt", "retry_of", "routing_tier")


def explain_event(clickhouse: ClickHouse, book: PriceBook, event_id: str) -> Step:
    """From its price down to where it stands in the log. Raises UserError for an unknown id."""
    sql = (
        "SELECT * EXCEPT occurred_at, toUnixTimestamp64Micro(occurred_at) AS at, "
        "toString(toStartOfMinute(occurred_at)) AS minute, "
        f"{DERIVED['is_retry']} AS is_retry, {DERIVED['is_shadow']} AS is_shadow "
        f"FROM usage WHERE event_id = {literal(event_id)}"
    )
    names, rows = clickhouse.query_columns(sql)
    if not rows:
        raise UserError(
            f"no event {event_id!r} is in the archive; ids are compared letter by letter, and what "
            "was refused is in `spendstream dlq list`"
        )
    event = dict(zip(names, rows[0], strict=True))
    event["at"] = datetime.fromtimestamp(int(event["at"]) / 1e6, UTC)
    shown = f"SELECT cost, rating, price_ref FROM usage WHERE event_id = {literal(event_id)}"
    steps = (_price(book, event), _counted(clickhouse, event), _origin(event))
    return Step(f"event {event_id}", event["cost"], _facts(event), shown, because=steps)


def _facts(event: dict[str, Any]) -> tuple[str, ...]:
    model = f"{event['provider']}/{event['model']}"
    if event["requested_model"] not in {None, event["model"]}:
        model += f" (asked for {event['requested_model']})"
    said = [f"{event['at']:%Y-%m-%d %H:%M:%S} UTC, {model}", _named(event, ATTRIBUTION)]
    if call := _named(event, _CALL):
        said.append(call)
    if event["kind"] == "void":
        said.append(f"takes back event {event['voids']}: what it counts is negative")
    if event["provider_cost"] is not None:
        said.append(f"the provider itself said ${event['provider_cost']}")
    if event["usage_source"] != "reported":
        said.append(f"its tokens are {event['usage_source']}")
    return tuple(said)


def _named(event: dict[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {event[name]}" for name in names if event[name] is not None
    )


def _price(book: PriceBook, event: dict[str, Any]) -> Step:
    """The arithmetic by the price book as it is now, held against what the event was rated at."""
    cost: Decimal | None = event["cost"]
    title = f"price: {event['price_ref'] or event['rating'].replace('_', ' ')}"
    if event["served_from_cache"]:
        return Step(title, cost, (f"{SERVED_FROM_CACHE}: no provider billed it",))
    if event["rating"] == "no_usage":
        return Step(title, None, ("its tokens are not known, so its cost is not",))
    key = (event["provider"], event["model"], event["service_tier"], event["region"])
    card = book.schedule(*key).card_at(minute_of(event["at"]))
    if card is None:
        if event["rating"] == "unpriced":
            return Step(title, None, ("no price is known: `spendstream prices show` says why",))
        return Step(title, cost, doubt=f"{book.version} has no price for it any more")
    tokens = {name: int(event[name]) for name in BUCKET_NAMES if event[name]}
    found = priced(card, tokens)
    sign = -1 if event["kind"] == "void" else 1
    facts = [_line(line) for line in found.lines]
    if found.above is not None:
        facts.append(f"rates for calls of more than {found.above:,} input tokens")
    if card.source.urls:
        facts.append(f"source: {', '.join(card.source.urls[:SOURCES])}")
    doubt = None
    now = None if found.usd is None else found.usd * sign
    if now != cost or card.price_ref != event["price_ref"]:
        amount = "no known cost" if now is None else f"${money_text(now)}"
        doubt = (
            f"the price book here ({card.price_ref}) gives {amount}: it was rated by another one; "
            "`spendstream reprice` shows what that changes"
        )
    return Step(title, cost, tuple(facts), doubt=doubt)


def _line(line: Line) -> str:
    if line.bucket is None:
        return f"a call: ${line.rate}"
    rate = "no known rate" if line.rate is None else f"${line.rate} per million"
    return f"{line.tokens:,} {line.bucket.replace('_', ' ')} at {rate}"


def _counted(clickhouse: ClickHouse, event: dict[str, Any]) -> Step:
    """The journal entry that covers its offset, and the row of the ledger that it is part of."""
    source, partition, offset = event["source"], int(event["partition"]), int(event["offset"])
    place = f"source = {literal(source)} AND partition = {partition}"
    covers = f"start <= {offset} AND through >= {offset}"
    ranges = clickhouse.query(
        "SELECT journal, position, start, through, toString(appended_at) FROM ledger_progress "
        f"WHERE accepted AND {place} AND {covers}"
    )
    if not ranges:
        return Step(
            "ledger: not counted there",
            doubt="no journal entry covers its offset yet; if that stays so, "
            "`spendstream reconcile` says why",
        )
    journal, position, start, through, appended = ranges[0]
    same = " AND ".join(
        f"{name} IS NULL" if event[name] is None else f"{name} = {literal(event[name])}"
        for name in DIMENSIONS
        if name not in RATED
    )
    minute = f"toDateTime({literal(event['minute'])}, 'UTC')"
    counted = (
        f"SELECT sum(calls), sum(cost) FROM spend WHERE journal = {literal(journal)} "
        f"AND position = {position} AND {place} AND minute = {minute} AND {same}"
    )
    ((calls, cost),) = clickhouse.query(counted)
    corrections = clickhouse.query(
        "SELECT a.adjustment_id, any(a.reason), any(a.note), sum(s.cost), "
        "toString(any(a.recorded_at)) "
        f"FROM (SELECT * FROM spend WHERE {place} AND minute = {minute} AND {same}) AS s "
        "INNER JOIN adjustments AS a ON s.journal = a.journal AND s.position = a.position "
        f"WHERE a.start <= {offset} AND a.through >= {offset} "
        "GROUP BY a.adjustment_id ORDER BY any(s.position)"
    )
    facts = (
        f"it covers {source}[{partition}], offsets {start:,} to {through:,}; appended {appended} "
        "UTC",
        f"its row of minute {event['minute']} and this attribution counts "
        f"{plural(int(calls), 'call')}",
    )
    steps = tuple(
        Step(
            f"correction {name} ({reason}) of that minute and attribution",
            amount,
            (f"recorded {at} UTC", *filter(None, [note])),
        )
        for name, reason, note, amount, at in corrections
    )
    doubt = None if int(calls) else "the entry has no such row: run `spendstream reconcile`"
    title = f"ledger: entry {position:,} of the journal {journal}"
    return Step(title, cost, facts, counted, doubt, steps)


def _origin(event: dict[str, Any]) -> Step:
    title = f"log: {event['source']}[{event['partition']}], offset {int(event['offset']):,}"
    return Step(title, facts=(f"archived {event['landed_at']:%Y-%m-%d %H:%M:%S} UTC",))
