-- Prices as they were applied: the lines of price books, and since when each is known.

CREATE TABLE IF NOT EXISTS prices ${ON_CLUSTER}
(
    line         UInt64 COMMENT 'hash of all that follows but known_at',
    book         LowCardinality(String) COMMENT 'version of the price book',
    provider     LowCardinality(String) COMMENT 'this and the next three: as events say it',
    model        LowCardinality(String),
    service_tier LowCardinality(Nullable(String)),
    region       LowCardinality(Nullable(String)),
    valid_from   DateTime('UTC') COMMENT 'whole minute; 1970: always',
    valid_until  Nullable(DateTime('UTC')) COMMENT 'no more from then on; null: open',
    day_from     UInt16 COMMENT 'minute of the UTC day',
    day_until    UInt16 COMMENT 'no more from then on; 1440: to its end',
    above_input_tokens Nullable(Int64) COMMENT 'null: from the first token on',
    upto_input_tokens  Nullable(Int64) COMMENT 'null: no limit',
    input_tokens            Nullable(Int128) COMMENT '1e-12 USD per token times denominator; null: no rate is known',
    cache_read_tokens       Nullable(Int128),
    cache_write_5m_tokens   Nullable(Int128),
    cache_write_1h_tokens   Nullable(Int128),
    input_audio_tokens      Nullable(Int128),
    cache_read_audio_tokens Nullable(Int128),
    input_image_tokens      Nullable(Int128),
    cache_read_image_tokens Nullable(Int128),
    output_tokens           Nullable(Int128),
    reasoning_tokens        Nullable(Int128),
    output_audio_tokens     Nullable(Int128),
    output_image_tokens     Nullable(Int128),
    per_call     Nullable(Int128) COMMENT '1e-12 USD per call times denominator; null: not charged',
    denominator  Int64,
    price_ref    Nullable(String) COMMENT 'null: there is no price',
    source       String COMMENT 'list or file that the price is from',
    known_at     DateTime64(3, 'UTC') COMMENT 'when the line was recorded'
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (provider, model, valid_from, line)
SETTINGS non_replicated_deduplication_window = 1000;

-- USD have as many decimals as a denominator of 1e15 needs: every quotient is exact.
CREATE VIEW IF NOT EXISTS price_history ${ON_CLUSTER} AS
SELECT book, provider, model, service_tier, region,
       nullIf(valid_from, toDateTime(0, 'UTC')) AS valid_from, valid_until, day_from, day_until,
       above_input_tokens, upto_input_tokens,
       toDecimal256(input_tokens, 21) / per AS input_usd,
       toDecimal256(cache_read_tokens, 21) / per AS cache_read_usd,
       toDecimal256(cache_write_5m_tokens, 21) / per AS cache_write_5m_usd,
       toDecimal256(cache_write_1h_tokens, 21) / per AS cache_write_1h_usd,
       toDecimal256(input_audio_tokens, 21) / per AS input_audio_usd,
       toDecimal256(cache_read_audio_tokens, 21) / per AS cache_read_audio_usd,
       toDecimal256(input_image_tokens, 21) / per AS input_image_usd,
       toDecimal256(cache_read_image_tokens, 21) / per AS cache_read_image_usd,
       toDecimal256(output_tokens, 21) / per AS output_usd,
       toDecimal256(reasoning_tokens, 21) / per AS reasoning_usd,
       toDecimal256(output_audio_tokens, 21) / per AS output_audio_usd,
       toDecimal256(output_image_tokens, 21) / per AS output_image_usd,
       toDecimal256(per_call, 27) / toDecimal256(toInt128(denominator) * 1000000000000, 0)
           AS usd_per_call,
       price_ref, source, known_at
FROM
(
    SELECT *, toDecimal256(toInt128(denominator) * 1000000, 0) AS per
    FROM prices
    WHERE price_ref IS NOT NULL
    ORDER BY known_at
    LIMIT 1 BY line
) AS prices;
