-- What providers charge, line by line, as their exports say it, and what the ledger says beside it.

-- The newest version of a line counts. A line that a corrected export does not have any more stays,
-- as removed.
CREATE TABLE IF NOT EXISTS invoice_charges ${ON_CLUSTER}
(
    provider     LowCardinality(String) COMMENT 'as our events say it',
    line_id      String COMMENT 'hash of what identifies the line in the export',
    format       LowCardinality(String),
    file         String COMMENT 'name of the export',
    line         Int64 COMMENT 'of the export',
    day          Date COMMENT 'first day that the line is for, in its zone',
    last_day     Date COMMENT 'last day',
    zone         LowCardinality(String) COMMENT 'IANA zone of these days',
    account      String COMMENT 'account, project or workspace as the provider names it',
    model        LowCardinality(Nullable(String)) COMMENT 'as our events say it where that could be told',
    sku          String COMMENT 'what is charged, in the words of the provider',
    charge       LowCardinality(String) COMMENT 'usage, fee, credit or tax',
    token_class  LowCardinality(Nullable(String)) COMMENT 'input, cache_read, cache_write or output',
    tokens       Nullable(Int64) COMMENT 'null: not told',
    amount_said  String COMMENT 'as the export has it, every digit',
    amount       Decimal(38, 12),
    currency     LowCardinality(String),
    units_per_usd Nullable(Decimal(38, 12)) COMMENT 'the rate that was given; null: it is USD',
    usd          Decimal(38, 12),
    removed      Bool,
    version      UInt64,
    imported_at  DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
ORDER BY (provider, line_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS invoice_lines ${ON_CLUSTER} AS
SELECT * EXCEPT (removed, version) FROM invoice_charges FINAL WHERE NOT removed;

-- By the days of the invoice on one side, and by UTC days on the other.
CREATE VIEW IF NOT EXISTS invoice_variance ${ON_CLUSTER} AS
SELECT provider, toStartOfMonth(day) AS month, day, model,
       sum(v.invoiced_usd) AS invoiced_usd, sum(v.metered_usd) AS metered_usd,
       sum(v.trued_up_usd) AS trued_up_usd,
       sum(v.invoiced_usd) - sum(v.metered_usd) - sum(v.trued_up_usd) AS variance_usd,
       sum(v.invoiced_tokens) AS invoiced_tokens, sum(v.metered_tokens) AS metered_tokens
FROM
(
    SELECT provider, day, toNullable(toString(model)) AS model, usd AS invoiced_usd,
           toDecimal128(0, 12) AS metered_usd, toDecimal128(0, 12) AS trued_up_usd,
           tokens AS invoiced_tokens, toInt64(0) AS metered_tokens
    FROM invoice_charges FINAL
    WHERE NOT removed
    UNION ALL
    SELECT provider, toDate(minute, 'UTC') AS day, toNullable(toString(model)) AS model,
           toDecimal128(0, 12) AS invoiced_usd,
           if(kind = 'true_up', toDecimal128(0, 12), ifNull(cost, toDecimal128(0, 12)))
               AS metered_usd,
           if(kind = 'true_up', ifNull(cost, toDecimal128(0, 12)), toDecimal128(0, 12))
               AS trued_up_usd,
           CAST(NULL AS Nullable(Int64)) AS invoiced_tokens,
           input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
               + input_audio_tokens + cache_read_audio_tokens + input_image_tokens
               + cache_read_image_tokens + output_tokens + reasoning_tokens + output_audio_tokens
               + output_image_tokens AS metered_tokens
    FROM spend
    WHERE (provider, toStartOfMonth(toDate(minute, 'UTC'))) IN
          (SELECT provider, toStartOfMonth(day) FROM invoice_charges FINAL WHERE NOT removed)
) AS v
GROUP BY provider, day, model;
