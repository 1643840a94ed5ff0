-- Who sent which prompt in which minute, by its hash: for repeats, asked for a few minutes at a time.

CREATE TABLE IF NOT EXISTS prompts ${ON_CLUSTER}
(
    minute       DateTime('UTC') COMMENT 'minute of event time',
    team         LowCardinality(String),
    application  LowCardinality(Nullable(String)),
    use_case     LowCardinality(Nullable(String)),
    provider     LowCardinality(String),
    model        LowCardinality(String),
    prompt_hash  String,
    event_id     String,
    input_tokens Nullable(Int64) COMMENT 'prompt side, all buckets; null: not known',
    cost_pico    Nullable(Int64) COMMENT '1e-12 USD; null: not known'
)
ENGINE = ${REPLICATED}ReplacingMergeTree
-- A week a partition, so that what is old is removed with its parts, and no merge rewrites it.
PARTITION BY toMonday(minute)
ORDER BY (minute, team, application, prompt_hash, event_id)
TTL minute + INTERVAL 40 DAY
SETTINGS allow_nullable_key = 1, ttl_only_drop_parts = 1;

-- An event that is archived twice is here twice too, until a merge: count its ids, or read FINAL.
CREATE MATERIALIZED VIEW IF NOT EXISTS prompts_feed ${ON_CLUSTER} TO prompts AS
SELECT toStartOfMinute(occurred_at) AS minute, team, application, use_case, provider, model,
       assumeNotNull(usage_events.prompt_hash) AS prompt_hash, event_id,
       if(usage_source = 'missing', NULL,
          ifNull(usage_events.input_tokens, 0) + ifNull(cache_read_tokens, 0)
          + ifNull(cache_write_5m_tokens, 0) + ifNull(cache_write_1h_tokens, 0)
          + ifNull(input_audio_tokens, 0) + ifNull(cache_read_audio_tokens, 0)
          + ifNull(input_image_tokens, 0) + ifNull(cache_read_image_tokens, 0)) AS input_tokens,
       cost_pico
FROM usage_events
WHERE usage_events.prompt_hash IS NOT NULL AND kind = 'usage' AND shadow_of IS NULL;
