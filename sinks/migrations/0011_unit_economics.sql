-- Unit economics. Run with the ledger sink stopped, as every migration: what is in the ledger so far
-- is copied here, and what comes later comes by the feeds.

-- The ledger by day, for figures over long times and any scope. Sum it: rows of one key may not be
-- merged yet. Workflows, and what else would make a row of nearly every call, are left out.
CREATE TABLE IF NOT EXISTS spend_by_day ${ON_CLUSTER}
(
    day          Date COMMENT 'of event time, UTC',
    department   LowCardinality(Nullable(String)),
    team         LowCardinality(String),
    project      LowCardinality(Nullable(String)),
    use_case     LowCardinality(Nullable(String)),
    application  LowCardinality(Nullable(String)),
    environment  LowCardinality(Nullable(String)),
    user         LowCardinality(Nullable(String)),
    customer     LowCardinality(Nullable(String)),
    provider     LowCardinality(String),
    model        LowCardinality(String),
    region       LowCardinality(Nullable(String)),
    service_tier LowCardinality(Nullable(String)),
    routing_tier LowCardinality(Nullable(String)),
    is_shadow    Bool,
    calls               SimpleAggregateFunction(sum, Int64),
    priced_calls        SimpleAggregateFunction(sum, Int64),
    unpriced_calls      SimpleAggregateFunction(sum, Int64) COMMENT 'no price is known',
    calls_without_usage SimpleAggregateFunction(sum, Int64) COMMENT 'no tokens are known',
    estimated_calls     SimpleAggregateFunction(sum, Int64) COMMENT 'tokens estimated by the caller',
    failed_calls        SimpleAggregateFunction(sum, Int64) COMMENT 'error, timeout, rate_limited or cancelled',
    retries             SimpleAggregateFunction(sum, Int64) COMMENT 'attempts after the first',
    wasted_calls        SimpleAggregateFunction(sum, Int64) COMMENT 'failed, or retries',
    cache_hits          SimpleAggregateFunction(sum, Int64) COMMENT 'answered by the cache of a gateway',
    input_tokens        SimpleAggregateFunction(sum, Int64) COMMENT 'prompt side, not from a cache of the provider',
    cache_read_tokens   SimpleAggregateFunction(sum, Int64),
    cache_write_tokens  SimpleAggregateFunction(sum, Int64),
    output_tokens       SimpleAggregateFunction(sum, Int64) COMMENT 'answer side, with reasoning',
    cost                SimpleAggregateFunction(sum, Nullable(Decimal(38, 12))) COMMENT 'USD; null: not known',
    failed_cost         SimpleAggregateFunction(sum, Nullable(Decimal(38, 12))),
    retry_cost          SimpleAggregateFunction(sum, Nullable(Decimal(38, 12))),
    wasted_cost         SimpleAggregateFunction(sum, Nullable(Decimal(38, 12))) COMMENT 'of wasted_calls',
    provider_cost       SimpleAggregateFunction(sum, Nullable(Decimal(38, 12))) COMMENT 'USD, as the provider said'
)
ENGINE = ${REPLICATED}AggregatingMergeTree
PARTITION BY toYYYYMM(day)
PRIMARY KEY (day, department, team)
ORDER BY (day, department, team, project, use_case, application, environment, user, customer,
          provider, model, region, service_tier, routing_tier, is_shadow)
SETTINGS non_replicated_deduplication_window = 100000, allow_nullable_key = 1;

-- A token for the copy: run again after a failure, it adds what is missing, and nothing twice.
INSERT INTO spend_by_day
SELECT
    toDate(minute, 'UTC') AS day, department, team, project, use_case, application, environment,
    user, customer, provider, model, region, service_tier, routing_tier, is_shadow,
    sum(spend.calls) AS calls,
    sumIf(spend.calls, rating = 'priced') AS priced_calls,
    sumIf(spend.calls, rating = 'unpriced') AS unpriced_calls,
    sumIf(spend.calls, rating = 'no_usage') AS calls_without_usage,
    sumIf(spend.calls, usage_source = 'estimated') AS estimated_calls,
    sumIf(spend.calls, status IN ('error', 'timeout', 'rate_limited', 'cancelled')) AS failed_calls,
    sumIf(spend.calls, is_retry) AS retries,
    sumIf(spend.calls, is_retry OR status IN ('error', 'timeout', 'rate_limited', 'cancelled'))
        AS wasted_calls,
    sumIf(spend.calls, served_from_cache) AS cache_hits,
    sum(spend.input_tokens + input_audio_tokens + input_image_tokens) AS input_tokens,
    sum(spend.cache_read_tokens + cache_read_audio_tokens + cache_read_image_tokens)
        AS cache_read_tokens,
    sum(cache_write_5m_tokens + cache_write_1h_tokens) AS cache_write_tokens,
    sum(spend.output_tokens + reasoning_tokens + output_audio_tokens + output_image_tokens)
        AS output_tokens,
    sum(spend.cost) AS cost,
    sumIf(spend.cost, status IN ('error', 'timeout', 'rate_limited', 'cancelled')) AS failed_cost,
    sumIf(spend.cost, is_retry) AS retry_cost,
    sumIf(spend.cost, is_retry OR status IN ('error', 'timeout', 'rate_limited', 'cancelled'))
        AS wasted_cost,
    sum(spend.provider_cost) AS provider_cost
FROM spend
GROUP BY day, department, team, project, use_case, application, environment, user, customer,
         provider, model, region, service_tier, routing_tier, is_shadow
ORDER BY ALL
SETTINGS insert_deduplication_token = 'copied by migration 0011', max_insert_threads = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_by_day_feed ${ON_CLUSTER} TO spend_by_day AS
SELECT
    toDate(minute, 'UTC') AS day, department, team, project, use_case, application, environment,
    user, customer, provider, model, region, service_tier, routing_tier, is_shadow,
    sum(spend.calls) AS calls,
    sumIf(spend.calls, rating = 'priced') AS priced_calls,
    sumIf(spend.calls, rating = 'unpriced') AS unpriced_calls,
    sumIf(spend.calls, rating = 'no_usage') AS calls_without_usage,
    sumIf(spend.calls, usage_source = 'estimated') AS estimated_calls,
    sumIf(spend.calls, status IN ('error', 'timeout', 'rate_limited', 'cancelled')) AS failed_calls,
    sumIf(spend.calls, is_retry) AS retries,
    sumIf(spend.calls, is_retry OR status IN ('error', 'timeout', 'rate_limited', 'cancelled'))
        AS wasted_calls,
    sumIf(spend.calls, served_from_cache) AS cache_hits,
    sum(spend.input_tokens + input_audio_tokens + input_image_tokens) AS input_tokens,
    sum(spend.cache_read_tokens + cache_read_audio_tokens + cache_read_image_tokens)
        AS cache_read_tokens,
    sum(cache_write_5m_tokens + cache_write_1h_tokens) AS cache_write_tokens,
    sum(spend.output_tokens + reasoning_tokens + output_audio_tokens + output_image_tokens)
        AS output_tokens,
    sum(spend.cost) AS cost,
    sumIf(spend.cost, status IN ('error', 'timeout', 'rate_limited', 'cancelled')) AS failed_cost,
    sumIf(spend.cost, is_retry) AS retry_cost,
    sumIf(spend.cost, is_retry OR status IN ('error', 'timeout', 'rate_limited', 'cancelled'))
        AS wasted_cost,
    sum(spend.provider_cost) AS provider_cost
FROM spend
GROUP BY day, department, team, project, use_case, application, environment, user, customer,
         provider, model, region, service_tier, routing_tier, is_shadow;

-- What each workflow cost: without shadow calls, which are no part of its work.
CREATE TABLE IF NOT EXISTS spend_by_workflow ${ON_CLUSTER}
(
    month       Date COMMENT 'first day of the month of event time, UTC',
    workflow    String,
    department  LowCardinality(Nullable(String)),
    team        LowCardinality(String),
    project     LowCardinality(Nullable(String)),
    use_case    LowCardinality(Nullable(String)),
    application LowCardinality(Nullable(String)),
    customer    LowCardinality(Nullable(String)),
    calls       SimpleAggregateFunction(sum, Int64),
    cost        SimpleAggregateFunction(sum, Nullable(Decimal(38, 12))) COMMENT 'USD; null: not known'
)
ENGINE = ${REPLICATED}AggregatingMergeTree
PARTITION BY month
ORDER BY (workflow, department, team, project, use_case, application, customer)
SETTINGS non_replicated_deduplication_window = 100000, allow_nullable_key = 1;

INSERT INTO spend_by_workflow
SELECT
    toStartOfMonth(minute) AS month, assumeNotNull(spend.workflow) AS workflow, department, team,
    project, use_case, application, customer,
    sum(spend.calls) AS calls, sum(spend.cost) AS cost
FROM spend
WHERE spend.workflow IS NOT NULL AND NOT is_shadow
GROUP BY month, workflow, department, team, project, use_case, application, customer
ORDER BY ALL
SETTINGS insert_deduplication_token = 'copied by migration 0011', max_insert_threads = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_by_workflow_feed ${ON_CLUSTER} TO spend_by_workflow AS
SELECT
    toStartOfMonth(minute) AS month, assumeNotNull(spend.workflow) AS workflow, department, team,
    project, use_case, application, customer,
    sum(spend.calls) AS calls, sum(spend.cost) AS cost
FROM spend
WHERE spend.workflow IS NOT NULL AND NOT is_shadow
GROUP BY month, workflow, department, team, project, use_case, application, customer;

-- What an outcome costs, all in: the spend of whoever reports it, failed work and retries included,
-- over how many there were. An outcome that names only its workflow is that workflow's team's.
CREATE VIEW IF NOT EXISTS unit_costs ${ON_CLUSTER} AS
SELECT o.month AS month, o.team AS team, o.use_case AS use_case, o.name AS name,
       o.outcomes AS outcomes, o.value AS value, s.cost AS cost,
       s.cost / toDecimal128(o.outcomes, 0) AS usd_per_outcome
FROM
(
    SELECT toStartOfMonth(occurred_at) AS month,
           ifNull(toNullable(toString(reported.team)), nullIf(toString(work.team), '')) AS team,
           if(reported.team IS NULL, work.use_case, reported.use_case) AS use_case,
           reported.name AS name, count() AS outcomes, sum(reported.value) AS value
    FROM reported_outcomes AS reported
    LEFT JOIN
    (
        SELECT w.workflow AS workflow, any(w.team) AS team, any(w.use_case) AS use_case
        FROM spend_by_workflow AS w
        WHERE w.workflow IN (SELECT workflow FROM outcomes WHERE team IS NULL)
        GROUP BY workflow
    ) AS work
    ON reported.workflow = work.workflow
    GROUP BY month, team, use_case, name
) AS o
LEFT JOIN
(
    SELECT toStartOfMonth(day) AS month, team, if(grouping(use_case) = 0, 1, 0) AS of_use_case,
           use_case, sum(d.cost) AS cost
    FROM spend_by_day AS d
    GROUP BY GROUPING SETS ((month, team, use_case), (month, team))
) AS s
ON o.month = s.month AND o.team = s.team AND ifNull(o.use_case, '') = ifNull(s.use_case, '')
    AND (o.use_case IS NOT NULL) = s.of_use_case;

-- What workflows cost, each with all of its calls; its month is that of its last call.
CREATE VIEW IF NOT EXISTS workflow_costs ${ON_CLUSTER} AS
SELECT month, department, team, use_case, count() AS workflows, sum(w.calls) AS calls,
       sum(w.cost) AS cost, cost / toDecimal128(workflows, 0) AS usd_per_workflow,
       max(w.cost) AS dearest
FROM
(
    SELECT max(s.month) AS month, workflow, any(s.department) AS department, any(s.team) AS team,
           any(s.use_case) AS use_case, sum(s.calls) AS calls, sum(s.cost) AS cost
    FROM spend_by_workflow AS s
    GROUP BY workflow
) AS w
GROUP BY month, department, team, use_case;

CREATE VIEW IF NOT EXISTS customer_costs ${ON_CLUSTER} AS
SELECT toStartOfMonth(day) AS month, department, team, customer, sum(d.calls) AS calls,
       sum(d.unpriced_calls + d.calls_without_usage) AS calls_not_in_cost, sum(d.cost) AS cost
FROM spend_by_day AS d
WHERE customer IS NOT NULL
GROUP BY month, department, team, customer;

-- Users are counted once in each line, so lines of a narrower grain do not add up to a wider one.
CREATE VIEW IF NOT EXISTS active_users ${ON_CLUSTER} AS
SELECT toStartOfMonth(day) AS month,
       multiIf(grouping(team) = 0, 'team', grouping(department) = 0, 'department', 'all') AS grain,
       department, nullIf(d.team, '') AS team, uniqExact(user) AS users,
       sum(d.cost) AS cost,
       cost / toDecimal128(nullIf(users, 0), 0) AS usd_per_user
FROM spend_by_day AS d
GROUP BY GROUPING SETS ((month), (month, department), (month, department, team));

-- How much goes to which tier of models, as routers and gateways said it: null where none did.
CREATE VIEW IF NOT EXISTS tier_shares ${ON_CLUSTER} AS
SELECT month, department, team, routing_tier, calls, cost,
       toDecimal128(calls, 12) / toDecimal128(nullIf(sum(calls) OVER scope, 0), 0)
           AS share_of_calls,
       cost / nullIf(sum(cost) OVER scope, 0) AS share_of_cost
FROM
(
    SELECT toStartOfMonth(day) AS month, department, team, routing_tier, sum(d.calls) AS calls,
           sum(d.cost) AS cost
    FROM spend_by_day AS d
    WHERE NOT is_shadow
    GROUP BY month, department, team, routing_tier
)
WINDOW scope AS (PARTITION BY month, department, team);

-- What the figures do not know: no price, no tokens, tokens estimated, nobody to charge.
CREATE VIEW IF NOT EXISTS data_quality ${ON_CLUSTER} AS
SELECT day, department, team, sum(d.calls) AS calls, sum(d.cost) AS cost,
       sum(d.priced_calls) AS priced_calls, sum(d.unpriced_calls) AS unpriced_calls,
       sum(d.calls_without_usage) AS calls_without_usage,
       sum(d.estimated_calls) AS estimated_calls,
       sumIf(d.calls, project IS NULL) AS calls_without_project,
       sumIf(d.calls, use_case IS NULL) AS calls_without_use_case,
       sumIf(d.calls, user IS NULL) AS calls_without_user,
       sumIf(d.cost, project IS NULL) AS cost_without_project,
       sumIf(d.cost, use_case IS NULL) AS cost_without_use_case,
       sumIf(d.cost, user IS NULL) AS cost_without_user
FROM spend_by_day AS d
GROUP BY day, department, team;
