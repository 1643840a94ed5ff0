"""The same tokens at a cheaper model that the reader names, where no shadow was asked."""

from __future__ import annotations

from decimal import Decimal

from reports.routing.figures import EXACT
from reports.routing.ratio import Share
from reports.savings.asked import Asked
from reports.savings.route import Key, Way
from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS
from sinks.clickhouse import ClickHouse

_FOREVER = 2**62
_PROMPT = " + ".join(f"ifNull({name}, 0)" for name in INPUT_BUCKETS)
_TOKENS = ", ".join(f"ifNull({name}, 0)" for name in BUCKET_NAMES)
_NEEDED = ", ".join(f"toInt128({name})" for name in BUCKET_NAMES)
# Rates of the newest book that has any for the call's tier and region. What has no rate there makes
# the price of a call that uses it unknown.
_RATES = f"""
SELECT of_provider, of_model, of_tier, of_region, groupArray(c) AS candidates
FROM
(
    SELECT toString(provider) AS of_provider, toString(model) AS of_model,
           ifNull(toString(service_tier), '') AS of_tier, ifNull(toString(region), '') AS of_region,
           (intDiv(toUnixTimestamp(valid_from), 60),
            ifNull(intDiv(toUnixTimestamp(valid_until), 60), {_FOREVER}), day_from, day_until,
            ifNull(above_input_tokens, -1), ifNull(upto_input_tokens, {_FOREVER}), denominator,
            [{_NEEDED}], ifNull(per_call, 0)) AS c
    FROM (SELECT * FROM prices LIMIT 1 BY line)
    WHERE price_ref IS NOT NULL
      AND (provider, model, book) IN
          (SELECT provider, model, argMax(book, known_at) FROM prices GROUP BY provider, model)
)
GROUP BY of_provider, of_model, of_tier, of_region
"""
_SQL = f"""
SELECT use_case, routing_tier, sumIf(cost, there IS NOT NULL), sum(there)
FROM
(
    SELECT c.*,
           arrayFirst(l -> l.1 <= minute AND minute < l.2
                           AND l.3 <= minute % 1440 AND minute % 1440 < l.4
                           AND l.5 < prompt AND prompt <= l.6, candidates) AS line,
           greatest(line.7, 1) AS parts,
           arraySum((n, rate) -> toInt256(n) * ifNull(rate, 0), tokens,
                    arrayResize(line.8, {len(BUCKET_NAMES)}, NULL)) + line.9 AS amount,
           if(line.7 = 0 OR arrayExists((n, rate) -> n > 0 AND rate IS NULL, tokens,
                                        arrayResize(line.8, {len(BUCKET_NAMES)}, NULL)), NULL,
              toDecimal128(intDiv(2 * amount + parts, 2 * parts), 12)
                  / toDecimal128(1000000000000, 0)) AS there
    FROM
    (
        SELECT use_case, routing_tier, provider, model, service_tier, region, cost,
               intDiv(toUnixTimestamp64Micro(occurred_at), 60000000) AS minute,
               [{_TOKENS}] AS tokens, {_PROMPT} AS prompt
        FROM usage
        WHERE occurred_at >= toDateTime64({{first:Date}}, 6, 'UTC')
          AND occurred_at < toDateTime64({{last:Date}} + 1, 6, 'UTC')
          AND kind = 'usage' AND shadow_of IS NULL AND NOT ifNull(served_from_cache, false)
          AND cost IS NOT NULL AND {{scope}}
          AND provider = {{provider:String}} AND model = {{model:String}}
          AND event_id NOT IN
          (
              SELECT assumeNotNull(voids) FROM usage
              WHERE kind = 'void' AND occurred_at >= toDateTime64({{first:Date}}, 6, 'UTC')
                AND occurred_at < toDateTime64({{last:Date}} + 1, 6, 'UTC')
          )
    ) AS c
    LEFT ANY JOIN ({_RATES}) AS r
    ON r.of_provider = {{to_provider:String}} AND r.of_model = {{to_model:String}}
       AND ifNull(toString(c.service_tier), '') = r.of_tier
       AND ifNull(toString(c.region), '') = r.of_region
)
GROUP BY ALL ORDER BY ALL
"""


def ways_of_names(
    clickhouse: ClickHouse, asked: Asked
) -> tuple[dict[Key, list[Way]], tuple[str, ...]]:
    """A way for each use case and tier of the named models that is priced there; and, as sentences,
    which of them are not. Raises ClickHouseError.
    """
    found: dict[Key, list[Way]] = {}
    missing = []
    for (provider, model), (to_provider, to_model) in asked.terms.cheaper.items():
        query = asked.query(
            _SQL, provider=provider, model=model, to_provider=to_provider, to_model=to_model
        )
        rows = query.rows(clickhouse)
        if not rows:
            missing.append(f"{provider}/{model}, which is named: there are no priced calls of it")
        elif not any(here for _, _, here, _ in rows):
            missing.append(
                f"{provider}/{model} at {to_provider}/{to_model}: no rates of that are known for "
                "the service tier and region of the calls"
            )
        for use_case, tier, here, there in rows:
            if here and there is not None:
                part = EXACT.subtract(Decimal(1), EXACT.divide(there, here))
                way = Way(f"{to_provider}/{to_model}", Share(part, part), "open", None)
                found[use_case, tier, provider, model] = [way]
    return found, tuple(missing)
