"""Rating in SQL: what `streams.rating.rate` does in columns, as a query that others build on.

The rates come from lines of `prices`, or from any other relation of the same columns. Arithmetic
is in 128-bit integers, which the bounds of `streams.rating.cards` keep from wrapping around.
"""

from __future__ import annotations

from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS
from streams.rating.rate import SERVED_FROM_CACHE

LINES = "SELECT * FROM prices WHERE book = {book:String} LIMIT 1 BY line"
"""The lines of one book; takes the parameter ``book``, its version."""
NEEDED = (
    *("occurred_at", "kind", "provider", "model", "service_tier", "region"),
    *("usage_source", "served_from_cache"),
    *BUCKET_NAMES,
)
"""Columns of `usage_events` that the events must have."""
AMOUNTS = (*(f"amount_{name}" for name in BUCKET_NAMES), "amount_per_call")
ADDED = ("new_cost_pico", "new_rating", "new_price_ref", "price_line", "denominator", *AMOUNTS)
"""What `rated` adds to the columns of the events."""

_FOREVER = 2**62
_HELPERS = ("rated_minute", "rated_input", "from_cache", "billed", "total", "quotient", "twice")
_TAKEN = (*(f"rate_{name}" for name in BUCKET_NAMES), "rate_per_call", "line_ref", "sign")


def rated(events: str, lines: str = LINES) -> str:
    """SQL of the given events with the columns `ADDED`, one row for each.

    ``events``: a SELECT with at least `NEEDED`. ``lines``: a SELECT with the columns of `prices`,
    whose lines leave no gap for the events' keys; an event of a key without any line is unpriced.

    - ``new_cost_pico``, ``new_rating``, ``new_price_ref``: as `streams.rating.rate.rate` has them.
    - ``price_line``: ``line`` of the rates that hold, 0 for none; ``denominator``: of these rates.
    - ``amount_<bucket>``, ``amount_per_call`` (Int128): what each part of the cost is before it is
      rounded, in pico-dollars times ``denominator``, negative for a void. 0 where a cache answered,
      null where the cost is not known.
    """
    helpers = ", ".join((*_HELPERS, *_TAKEN))
    return f"""
    SELECT * EXCEPT ({helpers}),
           multiIf(from_cache, toInt64(0), billed, toInt64(sign * (quotient +
                   if(twice > denominator OR (twice = denominator AND quotient % 2 = 1), 1, 0))),
                   NULL) AS new_cost_pico,
           multiIf(from_cache, 'priced', usage_source = 'missing', 'no_usage',
                   billed, 'priced', 'unpriced') AS new_rating,
           multiIf(from_cache, '{SERVED_FROM_CACHE}', billed, line_ref, NULL) AS new_price_ref
    FROM (
        SELECT *, intDiv(total, denominator) AS quotient,
               2 * (total - quotient * denominator) AS twice, {_amounts()}
        FROM (
            SELECT *, ifNull(served_from_cache, false) AS from_cache,
                   if(kind = 'void', -1, 1) AS sign,
                   NOT from_cache AND usage_source != 'missing' AND isNotNull(line_ref)
                       AND NOT ({_unknown()}) AS billed,
                   {_total()} AS total
            FROM ({_with_rates(events, lines)})
        )
    )"""


def _with_rates(events: str, lines: str) -> str:
    """Two joins: by key to find the line, whose number is small, then by line to get the rates."""
    taken = ", ".join(f"{name} AS rate_{name}" for name in (*BUCKET_NAMES, "per_call"))
    total_input = " + ".join(f"ifNull({name}, 0)" for name in INPUT_BUCKETS)
    return f"""
    SELECT * EXCEPT (line_number, line_denominator),
           if(line_denominator = 0, 1, line_denominator) AS denominator
    FROM (
        SELECT * EXCEPT (candidates, line_provider, line_model, line_tier, line_region),
               arrayFirst(c -> c.1 <= rated_minute AND rated_minute < c.2
                               AND c.3 <= rated_minute % 1440 AND rated_minute % 1440 < c.4
                               AND c.5 < rated_input AND rated_input <= c.6,
                          candidates).7 AS price_line
        FROM (
            SELECT *, intDiv(toUnixTimestamp64Micro(occurred_at), 60000000) AS rated_minute,
                   {total_input} AS rated_input
            FROM ({events})
        ) AS e
        LEFT ANY JOIN (
            SELECT toString(provider) AS line_provider, toString(model) AS line_model,
                   ifNull(toString(service_tier), '') AS line_tier,
                   ifNull(toString(region), '') AS line_region,
                   groupArray((intDiv(toUnixTimestamp(valid_from), 60),
                               ifNull(intDiv(toUnixTimestamp(valid_until), 60), {_FOREVER}),
                               day_from, day_until, ifNull(above_input_tokens, -1),
                               ifNull(upto_input_tokens, {_FOREVER}), line)) AS candidates
            FROM ({lines})
            GROUP BY line_provider, line_model, line_tier, line_region
        ) AS k
        ON toString(e.provider) = k.line_provider AND toString(e.model) = k.line_model
           AND ifNull(toString(e.service_tier), '') = k.line_tier
           AND ifNull(toString(e.region), '') = k.line_region
    ) AS e
    LEFT ANY JOIN (
        SELECT line AS line_number, price_ref AS line_ref, denominator AS line_denominator, {taken}
        FROM ({lines})
    ) AS l
    ON e.price_line = l.line_number"""


def _unknown() -> str:
    return " OR ".join(f"(ifNull({n}, 0) > 0 AND isNull(rate_{n}))" for n in BUCKET_NAMES)


def _total() -> str:
    parts = [f"toInt128(ifNull({n}, 0)) * ifNull(rate_{n}, 0)" for n in BUCKET_NAMES]
    return " + ".join([*parts, "ifNull(rate_per_call, toInt128(0))"])


def _amounts() -> str:
    parts = {f"amount_{n}": f"toInt128(ifNull({n}, 0)) * ifNull(rate_{n}, 0)" for n in BUCKET_NAMES}
    parts["amount_per_call"] = "ifNull(rate_per_call, toInt128(0))"
    return ", ".join(
        f"multiIf(from_cache, toInt128(0), billed, toInt128(sign * ({part})), NULL) AS {name}"
        for name, part in parts.items()
    )
