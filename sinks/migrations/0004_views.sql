-- The public SQL interface: these names stay. docs/sql.md has an example query for each.

CREATE VIEW IF NOT EXISTS usage ${ON_CLUSTER} AS
SELECT * EXCEPT (cost_pico, precedence),
       toDecimal128(cost_pico, 12) / toDecimal128(1000000000000, 0) AS cost
FROM usage_events FINAL;

CREATE VIEW IF NOT EXISTS spend_by_team ${ON_CLUSTER} AS
SELECT toStartOfMonth(minute) AS month, department, team,
       sum(spend.calls) AS calls,
       sum(input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
           + input_audio_tokens + cache_read_audio_tokens + input_image_tokens
           + cache_read_image_tokens) AS prompt_tokens,
       sum(output_tokens + reasoning_tokens + output_audio_tokens + output_image_tokens)
           AS answer_tokens,
       sum(spend.cost) AS cost,
       sumIf(spend.calls, rating = 'unpriced') AS unpriced_calls,
       sumIf(spend.calls, rating = 'no_usage') AS calls_without_usage
FROM spend
GROUP BY month, department, team;

CREATE VIEW IF NOT EXISTS spend_by_model ${ON_CLUSTER} AS
SELECT toStartOfMonth(minute) AS month, provider, model, service_tier, price_ref,
       sum(spend.calls) AS calls,
       sum(spend.input_tokens) AS uncached_input_tokens,
       sum(spend.cache_read_tokens) AS cached_input_tokens,
       sum(spend.output_tokens + spend.reasoning_tokens) AS answer_tokens,
       sum(spend.cost) AS cost
FROM spend
GROUP BY month, provider, model, service_tier, price_ref;

CREATE VIEW IF NOT EXISTS wasted_spend ${ON_CLUSTER} AS
SELECT toDate(minute) AS day, team, application, provider, model, status, error_code,
       sum(spend.calls) AS calls, sum(spend.cost) AS cost
FROM spend
WHERE is_retry OR status IN ('error', 'timeout', 'rate_limited', 'cancelled')
GROUP BY day, team, application, provider, model, status, error_code;

CREATE VIEW IF NOT EXISTS coverage ${ON_CLUSTER} AS
SELECT toDate(minute) AS day,
       sum(spend.calls) AS calls,
       sumIf(spend.calls, rating = 'priced') AS priced_calls,
       sumIf(spend.calls, rating = 'unpriced') AS unpriced_calls,
       sumIf(spend.calls, rating = 'no_usage') AS calls_without_usage,
       sumIf(spend.calls, usage_source = 'estimated') AS estimated_calls
FROM spend
GROUP BY day;

CREATE VIEW IF NOT EXISTS metering ${ON_CLUSTER} AS
SELECT source, partition,
       max(through) + 1 AS next_offset,
       sum(ledger_progress.events) AS events,
       sum(ledger_progress.unpriced) AS unpriced,
       sum(ledger_progress.duplicates) AS duplicates,
       sum(ledger_progress.conflicts) AS conflicts,
       sum(ledger_progress.refused) AS refused,
       sum(ledger_progress.lost) AS lost
FROM ledger_progress
WHERE accepted
GROUP BY source, partition;

CREATE VIEW IF NOT EXISTS alert_history ${ON_CLUSTER} AS
SELECT * EXCEPT body FROM alerts FINAL;
