-- The ledger: what the accepted ranges of the spend journal hold, and how far it got.

CREATE TABLE IF NOT EXISTS spend ${ON_CLUSTER}
(
    journal           LowCardinality(String) COMMENT 'cluster id and topic of the journal',
    position          Int64 COMMENT 'offset of the journal entry',
    source            LowCardinality(String) COMMENT 'cluster id and topic of the usage',
    partition         Int32 COMMENT 'partition of the usage',
    minute            DateTime('UTC') COMMENT 'minute of event time',
    department        LowCardinality(Nullable(String)),
    team              LowCardinality(String),
    project           LowCardinality(Nullable(String)),
    use_case          LowCardinality(Nullable(String)),
    application       LowCardinality(Nullable(String)),
    environment       LowCardinality(Nullable(String)),
    user              LowCardinality(Nullable(String)),
    customer          LowCardinality(Nullable(String)),
    workflow          Nullable(String),
    provider          LowCardinality(String),
    model             LowCardinality(String),
    region            LowCardinality(Nullable(String)),
    service_tier      LowCardinality(Nullable(String)),
    status            LowCardinality(Nullable(String)),
    error_code        LowCardinality(Nullable(String)),
    routing_tier      LowCardinality(Nullable(String)),
    kind              LowCardinality(String),
    usage_source      LowCardinality(String),
    rating            LowCardinality(String) COMMENT 'priced, unpriced or no_usage',
    price_ref         LowCardinality(Nullable(String)),
    served_from_cache Nullable(Bool),
    is_retry          Bool,
    is_shadow         Bool,
    calls                   Int64,
    input_tokens            Int64,
    cache_read_tokens       Int64,
    cache_write_5m_tokens   Int64,
    cache_write_1h_tokens   Int64,
    input_audio_tokens      Int64,
    cache_read_audio_tokens Int64,
    input_image_tokens      Int64,
    cache_read_image_tokens Int64,
    output_tokens           Int64,
    reasoning_tokens        Int64,
    output_audio_tokens     Int64,
    output_image_tokens     Int64,
    cost              Nullable(Decimal(38, 12)) COMMENT 'USD; null: not known',
    provider_cost     Nullable(Decimal(38, 12)) COMMENT 'USD, as the provider said'
)
ENGINE = ${REPLICATED}MergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (team, minute, model)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS ledger_progress ${ON_CLUSTER}
(
    journal    LowCardinality(String),
    position   Int64,
    source     LowCardinality(String),
    partition  Int32,
    start      Int64 COMMENT 'first offset of the range',
    through    Int64 COMMENT 'last offset of the range',
    accepted   Bool COMMENT 'false: the range was not next, and its rows were dropped',
    events     Int64,
    unpriced   Int64,
    duplicates Int64,
    conflicts  Int64,
    refused    Int64,
    lost       Int64,
    appended_at DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (journal, position, source, partition)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS spend_daily ${ON_CLUSTER}
(
    day          Date,
    department   LowCardinality(Nullable(String)),
    team         LowCardinality(String),
    application  LowCardinality(Nullable(String)),
    environment  LowCardinality(Nullable(String)),
    provider     LowCardinality(String),
    model        LowCardinality(String),
    rating       LowCardinality(String),
    usage_source LowCardinality(String),
    calls         Int64,
    input_tokens  Int64 COMMENT 'prompt side, all buckets',
    output_tokens Int64 COMMENT 'answer side, all buckets',
    cost          Decimal(38, 12) COMMENT 'USD of what is priced'
)
ENGINE = ${REPLICATED}SummingMergeTree((calls, input_tokens, output_tokens, cost))
PARTITION BY toYYYYMM(day)
ORDER BY (day, team, model, provider, rating, usage_source, department, application, environment)
SETTINGS non_replicated_deduplication_window = 100000, allow_nullable_key = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_daily_feed ${ON_CLUSTER} TO spend_daily AS
SELECT
    toDate(minute, 'UTC') AS day, department, team, application, environment, provider, model,
    rating, usage_source,
    sum(calls) AS calls,
    sum(input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
        + input_audio_tokens + cache_read_audio_tokens + input_image_tokens
        + cache_read_image_tokens) AS input_tokens,
    sum(output_tokens + reasoning_tokens + output_audio_tokens + output_image_tokens)
        AS output_tokens,
    ifNull(sum(spend.cost), 0) AS cost
FROM spend
GROUP BY day, department, team, application, environment, provider, model, rating, usage_source;
