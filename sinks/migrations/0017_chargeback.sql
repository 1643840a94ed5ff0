-- Closings of months, and the ledger as FOCUS 1.2 has it: a charge for each class of tokens.

-- Closings are numbered by month and never changed. A closing is one insert, under a token that names
-- it, so that of two people who close a month at the same time one does.
CREATE TABLE IF NOT EXISTS month_closings ${ON_CLUSTER}
(
    month      Date COMMENT 'first day of the month of event time, UTC',
    number     UInt32 COMMENT 'from 1 on; a month that is closed again has several',
    closed_at  DateTime64(3, 'UTC'),
    closed_by  String,
    why        String,
    positions  Map(String, Int64) COMMENT 'journal to the last position that is in the closing',
    department LowCardinality(Nullable(String)),
    team       LowCardinality(String),
    calls      Int64,
    cost       Nullable(Decimal(38, 12)) COMMENT 'USD; null: not known'
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (month, number, team)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE VIEW IF NOT EXISTS closings ${ON_CLUSTER} AS
SELECT month, number, c.closed_at AS closed_at, c.closed_by AS closed_by, c.why AS why,
       c.positions AS positions, sum(c.calls) AS calls, sum(c.cost) AS cost
FROM month_closings AS c
GROUP BY month, number, closed_at, closed_by, why, positions;

-- What was recorded after the newest closing of its month.
CREATE VIEW IF NOT EXISTS closing_restatements ${ON_CLUSTER} AS
SELECT toStartOfMonth(s.minute) AS month, c.number AS number, s.department AS department,
       s.team AS team, if(a.reason = '', 'late event', toString(a.reason)) AS reason,
       sum(s.calls) AS restated_calls, sum(s.cost) AS restated_cost,
       max(s.recorded_at) AS last_restated_at
FROM spend AS s
INNER JOIN
(
    SELECT m.month AS month, max(m.number) AS number, argMax(m.positions, m.number) AS positions
    FROM month_closings AS m
    GROUP BY month
) AS c
ON toStartOfMonth(s.minute) = c.month
LEFT ANY JOIN adjustments AS a ON s.journal = a.journal AND s.position = a.position
WHERE NOT mapContains(c.positions, toString(s.journal))
    OR s.position > c.positions[toString(s.journal)]
GROUP BY month, number, department, team, reason;

-- A row of the ledger is split over its classes of tokens by the recorded price that its cost comes
-- from, which is one that gives this very cost; what rounding leaves goes to the largest part. Where
-- no recorded price gives it, the row stays whole. Rows without a cost are no charges.
CREATE VIEW IF NOT EXISTS focus_costs ${ON_CLUSTER} AS
SELECT
    -- In alphabetical order, and columns of our own at the end.
    CAST(NULL AS Nullable(String)) AS AvailabilityZone,
    cost AS BilledCost,
    provider AS BillingAccountId,
    provider AS BillingAccountName,
    'Provider' AS BillingAccountType,
    'USD' AS BillingCurrency,
    toDateTime(toStartOfMonth(day) + INTERVAL 1 MONTH, 'UTC') AS BillingPeriodEnd,
    toDateTime(toStartOfMonth(day), 'UTC') AS BillingPeriodStart,
    CAST(NULL AS Nullable(String)) AS CapacityReservationId,
    CAST(NULL AS Nullable(String)) AS CapacityReservationStatus,
    if(is_usage, 'Usage', 'Adjustment') AS ChargeCategory,
    if(is_correction, 'Correction', NULL) AS ChargeClass,
    concat(model, ': ', if(is_usage, lower(meter), 'cost without usage'),
           if(reason = '', '', concat(' (', reason, ')'))) AS ChargeDescription,
    if(is_usage, 'Usage-Based', 'One-Time') AS ChargeFrequency,
    toDateTime(day + INTERVAL 1 DAY, 'UTC') AS ChargePeriodEnd,
    toDateTime(day, 'UTC') AS ChargePeriodStart,
    CAST(NULL AS Nullable(String)) AS CommitmentDiscountCategory,
    CAST(NULL AS Nullable(String)) AS CommitmentDiscountId,
    CAST(NULL AS Nullable(String)) AS CommitmentDiscountName,
    CAST(NULL AS Nullable(Decimal(38, 6))) AS CommitmentDiscountQuantity,
    CAST(NULL AS Nullable(String)) AS CommitmentDiscountStatus,
    CAST(NULL AS Nullable(String)) AS CommitmentDiscountType,
    CAST(NULL AS Nullable(String)) AS CommitmentDiscountUnit,
    if(is_usage, toDecimal128(quantity, 6), NULL) AS ConsumedQuantity,
    if(is_usage, unit, NULL) AS ConsumedUnit,
    cost AS ContractedCost,
    unit_price AS ContractedUnitPrice,
    cost AS EffectiveCost,
    CAST(NULL AS Nullable(String)) AS InvoiceId,
    provider AS InvoiceIssuerName,
    list_cost AS ListCost,
    list_price AS ListUnitPrice,
    if(is_usage, 'Standard', NULL) AS PricingCategory,
    'USD' AS PricingCurrency,
    unit_price AS PricingCurrencyContractedUnitPrice,
    cost AS PricingCurrencyEffectiveCost,
    list_price AS PricingCurrencyListUnitPrice,
    if(is_usage, toDecimal128(quantity, 6) / toDecimal128(priced_in, 0), NULL) AS PricingQuantity,
    if(is_usage, if(priced_in = 1, unit, concat(toString(priced_in), ' ', unit)), NULL)
        AS PricingUnit,
    provider AS ProviderName,
    provider AS PublisherName,
    region AS RegionId,
    region AS RegionName,
    concat(provider, '/', model) AS ResourceId,
    model AS ResourceName,
    'Model' AS ResourceType,
    'AI and Machine Learning' AS ServiceCategory,
    concat(provider, ' API') AS ServiceName,
    'Generative AI' AS ServiceSubcategory,
    if(is_usage, concat(provider, '/', model, '/', token_class), NULL) AS SkuId,
    if(is_usage, meter, NULL) AS SkuMeter,
    if(is_usage, toJSONString(map('x_Model', model, 'x_TokenClass', token_class,
                                  'x_ServiceTier', tier)), NULL) AS SkuPriceDetails,
    if(is_usage, concat(provider, '/', model, '/', token_class, '/', tier,
                        if(region IS NULL, '', concat('/', region)), '/',
                        if(is_split, toString(list_price), 'average')), NULL) AS SkuPriceId,
    team AS SubAccountId,
    team AS SubAccountName,
    'Team' AS SubAccountType,
    toJSONString(mapFilter((name, value) -> value != '', map(
        'application', ifNull(application, ''), 'department', ifNull(department, ''),
        'environment', ifNull(environment, ''), 'project', ifNull(project, ''), 'team', team,
        'use_case', ifNull(use_case, '')))) AS Tags,
    application AS x_Application,
    nullIf(reason, '') AS x_CorrectionReason,
    day AS x_Day,
    department AS x_Department,
    environment AS x_Environment,
    model AS x_Model,
    price_ref AS x_PriceReference,
    project AS x_Project,
    tier AS x_ServiceTier,
    team AS x_Team,
    if(is_usage, token_class, NULL) AS x_TokenClass,
    use_case AS x_UseCase
FROM
(
    SELECT *, toDecimal128(sku.4, 12) / toDecimal128(1000000000000, 0) AS cost,
           sku.1 AS token_class, sku.2 AS meter, sku.3 AS quantity,
           -- The tokens of a whole row, where they and the cost point the same way, have an average.
           is_split OR (quantity > 0 AND sku.4 >= 0) OR (quantity < 0 AND sku.4 <= 0) AS is_usage,
           if(token_class = 'requests', 'Requests', 'Tokens') AS unit,
           if(token_class = 'requests', 1, 1000000) AS priced_in,
           if(is_usage,
              CAST(toDecimal256(sku.5, 21)
                   / toDecimal256(toInt256(nullIf(sku.6, 0)) * intDiv(1000000000000, priced_in), 0)
                   AS Nullable(Decimal(38, 21))),
              NULL) AS unit_price,
           if(is_split,
              CAST(toDecimal256(sku.7, 21)
                   / toDecimal256(toInt256(nullIf(sku.8, 0)) * intDiv(1000000000000, priced_in), 0)
                   AS Nullable(Decimal(38, 21))),
              unit_price) AS list_price,
           if(ifNull(list_price = unit_price, true), cost,
              toDecimal128(intDivOrZero(quantity * sku.7, sku.8), 12) / toDecimal128(1000000000000, 0))
               AS list_cost
    FROM
    (
        -- Of a price there are as many parts as classes, of a row that stays whole there is one:
        -- class, its name, quantity, 1e-12 USD, and two quotients: unit price, list price.
        SELECT *,
               arrayMap((tokens, rate) -> intDiv(tokens * rate, denominator), quantities, rates)
                   AS parts,
               indexOf(arrayMap(part -> abs(part), parts),
                       arrayMax(arrayMap(part -> abs(part), parts))) AS largest,
               pico - arraySum(parts) AS left_over,
               arrayJoin(arrayFilter(part -> part.4 != 0 OR (part.3 != 0 AND (part.1 != 'requests'
                                                                              OR part.5 != 0)),
                   if(is_split,
                   arrayMap((class, name, tokens, part, rate, listed, number) -> (class, name,
                                tokens, part + if(number = largest, left_over, toInt128(0)), rate,
                                denominator, if(listed >= 0, listed, rate),
                                if(listed >= 0, list_denominator, denominator)),
                            ['input', 'cache_read', 'cache_write_5m', 'cache_write_1h',
                             'input_audio', 'cache_read_audio', 'input_image', 'cache_read_image',
                             'output', 'reasoning', 'output_audio', 'output_image', 'requests'],
                            ['Input Tokens', 'Cache Read Tokens', 'Cache Write Tokens, 5 Minutes',
                             'Cache Write Tokens, 1 Hour', 'Audio Input Tokens',
                             'Audio Cache Read Tokens', 'Image Input Tokens',
                             'Image Cache Read Tokens', 'Output Tokens', 'Reasoning Tokens',
                             'Audio Output Tokens', 'Image Output Tokens', 'Requests'],
                            quantities, parts, rates, list_rates, arrayEnumerate(parts)),
                   [('tokens_not_split', 'Tokens, Not Split',
                     arraySum(arrayPopBack(quantities)) AS all_tokens, pico, pico, all_tokens,
                     pico, all_tokens)]))) AS sku
        FROM
        (
            SELECT day, department, team, project, use_case, application, environment, provider,
                   model, region, tier, price_ref, reason, is_correction,
                   price.6 > 0 AS is_split, if(is_split, price.6, toInt128(1)) AS denominator,
                   if(is_split, price.5, arrayMap(tokens -> toInt128(0), any(r.quantities)))
                       AS rates,
                   -- Without a list price, the price is taken for it.
                   listed.6 AS list_denominator,
                   if(list_denominator > 0, listed.5, arrayMap(rate -> toInt128(-1), rates))
                       AS list_rates,
                   sum(r.pico) AS pico, sumForEach(r.quantities) AS quantities
            FROM
            (
                SELECT s.day AS day, s.department AS department, s.team AS team,
                       s.project AS project, s.use_case AS use_case,
                       s.application AS application, s.environment AS environment,
                       s.provider AS provider, s.model AS model, s.region AS region,
                       ifNull(s.service_tier, 'standard') AS tier, s.price_ref AS price_ref,
                       s.pico AS pico, s.quantities AS quantities,
                       c.is_closed AND (NOT mapContains(c.positions, s.journal)
                                        OR s.position > c.positions[s.journal]) AS is_late,
                       multiIf(a.reason != '', toString(a.reason), is_late, 'late event', '')
                           AS reason,
                       is_late OR (a.reason != '' AND s.recorded_at >= toDateTime64(
                           toStartOfMonth(s.day) + INTERVAL 1 MONTH, 3, 'UTC')) AS is_correction,
                       arrayFirst(p -> p.1 <= s.at_minute AND s.at_minute < p.2
                           AND p.3 <= s.day_minute AND s.day_minute < p.4
                           AND arrayAll((tokens, rate) -> tokens = 0 OR rate >= 0,
                                        s.quantities, p.5)
                           AND 2 * abs(arraySum(arrayMap((tokens, rate) -> tokens * rate,
                                                         s.quantities, p.5)) - p.6 * s.pico)
                               <= if(p.6 = 1, toInt128(0), p.6 * abs(s.calls)), k.prices) AS price,
                       arrayFirst(p -> p.1 <= s.at_minute AND s.at_minute < p.2
                           AND p.3 <= s.day_minute AND s.day_minute < p.4
                           AND p.7 = price.7 AND p.8 = price.8, l.prices) AS listed
                FROM
                (
                    SELECT toString(journal) AS journal, position, recorded_at,
                           toDate(minute, 'UTC') AS day,
                           intDiv(toUnixTimestamp(minute), 60) AS at_minute,
                           at_minute % 1440 AS day_minute,
                           toNullable(toString(spend.department)) AS department,
                           toString(spend.team) AS team,
                           toNullable(toString(spend.project)) AS project,
                           toNullable(toString(spend.use_case)) AS use_case,
                           toNullable(toString(spend.application)) AS application,
                           toNullable(toString(spend.environment)) AS environment,
                           toString(spend.provider) AS provider, toString(spend.model) AS model,
                           toNullable(toString(spend.region)) AS region,
                           toNullable(toString(spend.service_tier)) AS service_tier,
                           toNullable(toString(spend.price_ref)) AS price_ref,
                           toInt128(spend.calls) AS calls,
                           toInt128(assumeNotNull(cost) * toDecimal128(1000000000000, 0)) AS pico,
                           arrayMap(tokens -> toInt128(tokens), [
                               input_tokens, cache_read_tokens, cache_write_5m_tokens,
                               cache_write_1h_tokens, input_audio_tokens, cache_read_audio_tokens,
                               input_image_tokens, cache_read_image_tokens, output_tokens,
                               reasoning_tokens, output_audio_tokens, output_image_tokens,
                               spend.calls]) AS quantities
                    FROM spend
                    WHERE cost IS NOT NULL
                        AND ifNull(spend.price_ref != 'served from cache', true)
                ) AS s
                LEFT ANY JOIN adjustments AS a
                ON s.journal = toString(a.journal) AND s.position = a.position
                LEFT ANY JOIN
                (
                    SELECT month, argMin(m.positions, m.number) AS positions, true AS is_closed
                    FROM month_closings AS m
                    GROUP BY month
                ) AS c
                ON toStartOfMonth(s.day) = c.month
                LEFT ANY JOIN
                (
                    SELECT toString(lines.provider) AS provider, toString(lines.model) AS model,
                           ifNull(toString(lines.service_tier), '') AS service_tier,
                           ifNull(toString(lines.region), '') AS region,
                           assumeNotNull(toString(lines.price_ref)) AS price_ref,
                           groupArray((
                               intDiv(toUnixTimestamp(valid_from), 60),
                               ifNull(intDiv(toUnixTimestamp(valid_until), 60), 4294967295),
                               day_from, day_until,
                               arrayMap(rate -> ifNull(rate, toInt128(-1)), [
                                   lines.input_tokens, lines.cache_read_tokens,
                                   lines.cache_write_5m_tokens, lines.cache_write_1h_tokens,
                                   lines.input_audio_tokens, lines.cache_read_audio_tokens,
                                   lines.input_image_tokens, lines.cache_read_image_tokens,
                                   lines.output_tokens, lines.reasoning_tokens,
                                   lines.output_audio_tokens, lines.output_image_tokens,
                                   ifNull(lines.per_call, toInt128(0))]),
                               toInt128(denominator), ifNull(above_input_tokens, -1),
                               ifNull(upto_input_tokens, -1))) AS prices
                    FROM
                    (
                        SELECT * FROM prices WHERE price_ref IS NOT NULL
                        ORDER BY known_at DESC, line
                    ) AS lines
                    GROUP BY provider, model, service_tier, region, price_ref
                ) AS k
                ON s.provider = k.provider AND s.model = k.model
                    AND ifNull(s.service_tier, '') = k.service_tier
                    AND ifNull(s.region, '') = k.region AND s.price_ref = k.price_ref
                LEFT ANY JOIN
                (
                    SELECT toString(lines.provider) AS provider, toString(lines.model) AS model,
                           ifNull(toString(lines.service_tier), '') AS service_tier,
                           ifNull(toString(lines.region), '') AS region,
                           groupArray((
                               intDiv(toUnixTimestamp(valid_from), 60),
                               ifNull(intDiv(toUnixTimestamp(valid_until), 60), 4294967295),
                               day_from, day_until,
                               arrayMap(rate -> ifNull(rate, toInt128(-1)), [
                                   lines.input_tokens, lines.cache_read_tokens,
                                   lines.cache_write_5m_tokens, lines.cache_write_1h_tokens,
                                   lines.input_audio_tokens, lines.cache_read_audio_tokens,
                                   lines.input_image_tokens, lines.cache_read_image_tokens,
                                   lines.output_tokens, lines.reasoning_tokens,
                                   lines.output_audio_tokens, lines.output_image_tokens,
                                   ifNull(lines.per_call, toInt128(0))]),
                               toInt128(denominator), ifNull(above_input_tokens, -1),
                               ifNull(upto_input_tokens, -1))) AS prices
                    FROM
                    (
                        -- Of books without a file of overrides.
                        SELECT * FROM prices WHERE price_ref IS NOT NULL AND book NOT LIKE '% + %'
                        ORDER BY known_at DESC, line
                    ) AS lines
                    GROUP BY provider, model, service_tier, region
                ) AS l
                ON s.provider = l.provider AND s.model = l.model
                    AND ifNull(s.service_tier, '') = l.service_tier
                    AND ifNull(s.region, '') = l.region
            ) AS r
            GROUP BY day, department, team, project, use_case, application, environment, provider,
                     model, region, tier, price_ref, reason, is_correction, price, listed
        )
    )
);
