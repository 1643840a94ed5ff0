-- The archive: every usage event, by event_id. The first event of an id wins.

CREATE TABLE IF NOT EXISTS sources ${ON_CLUSTER}
(
    source     String COMMENT 'cluster id and topic',
    seq        UInt16 COMMENT 'rank by first appearance: an earlier source wins over a later one',
    first_seen DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY source
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS usage_events ${ON_CLUSTER}
(
    event_id                String,
    occurred_at             DateTime64(6, 'UTC'),
    kind                    LowCardinality(String),
    voids                   Nullable(String),
    provider                LowCardinality(String),
    model                   LowCardinality(String),
    requested_model         LowCardinality(Nullable(String)),
    region                  LowCardinality(Nullable(String)),
    service_tier            LowCardinality(Nullable(String)),
    department              LowCardinality(Nullable(String)),
    team                    LowCardinality(String),
    project                 LowCardinality(Nullable(String)),
    use_case                LowCardinality(Nullable(String)),
    application             LowCardinality(Nullable(String)),
    environment             LowCardinality(Nullable(String)),
    user                    LowCardinality(Nullable(String)),
    customer                LowCardinality(Nullable(String)),
    workflow                Nullable(String),
    request_id              Nullable(String),
    attempt                 Nullable(Int32),
    retry_of                Nullable(String),
    status                  LowCardinality(Nullable(String)),
    error_code              LowCardinality(Nullable(String)),
    usage_source            LowCardinality(String),
    input_tokens            Nullable(Int64),
    cache_read_tokens       Nullable(Int64),
    cache_write_5m_tokens   Nullable(Int64),
    cache_write_1h_tokens   Nullable(Int64),
    input_audio_tokens      Nullable(Int64),
    cache_read_audio_tokens Nullable(Int64),
    input_image_tokens      Nullable(Int64),
    cache_read_image_tokens Nullable(Int64),
    output_tokens           Nullable(Int64),
    reasoning_tokens        Nullable(Int64),
    output_audio_tokens     Nullable(Int64),
    output_image_tokens     Nullable(Int64),
    total_tokens            Nullable(Int64),
    context_tokens          Nullable(Int64),
    prompt_hash             Nullable(String),
    served_from_cache       Nullable(Bool),
    routing_tier            LowCardinality(Nullable(String)),
    routing_reason          Nullable(String),
    shadow_of               Nullable(String),
    provider_cost           Nullable(String),
    latency_ms              Nullable(Int64),
    tags                    Map(String, String),
    source                  LowCardinality(String) COMMENT 'cluster id and topic it came by',
    partition               Int32,
    offset                  Int64,
    cost_pico               Nullable(Int64) COMMENT '1e-12 USD; negative for a void; null: not known',
    rating                  LowCardinality(String),
    price_ref               LowCardinality(Nullable(String)),
    precedence              UInt64 COMMENT 'highest for the first event of an id',
    landed_at               DateTime64(3, 'UTC'),
    INDEX occurred occurred_at TYPE minmax GRANULARITY 4
)
ENGINE = ${REPLICATED}ReplacingMergeTree(precedence)
ORDER BY event_id
-- Of 54 columns in files of their own, 200 files would be made for every insert. And merges of so
-- many columns cost more than the inserts: they are made less often, of more parts at once.
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 16;

CREATE TABLE IF NOT EXISTS archive_progress ${ON_CLUSTER}
(
    source    LowCardinality(String),
    partition Int32,
    start     Int64,
    through   Int64,
    landed_at DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (source, partition, through);
