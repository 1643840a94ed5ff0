-- Dead letters: refused records as they came, and what was done about each.

CREATE TABLE IF NOT EXISTS dead_letters ${ON_CLUSTER}
(
    letter      String COMMENT '16 hex digits that follow from source, partition and offset',
    source      LowCardinality(String) COMMENT 'cluster id and topic it came by',
    partition   Int32,
    offset      Int64,
    key         Nullable(String) COMMENT 'bytes as they came',
    value       Nullable(String) COMMENT 'bytes as they came; null: the record had none',
    headers     Array(Tuple(name String, value Nullable(String))),
    appended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the record; null: it has none',
    reason      LowCardinality(String),
    detail      String,
    landed_at   DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}ReplacingMergeTree(landed_at)
ORDER BY (source, partition, offset);

CREATE TABLE IF NOT EXISTS dead_letter_actions ${ON_CLUSTER}
(
    letter    String,
    action    LowCardinality(String) COMMENT 'replaying, replayed or dropped',
    at        DateTime64(6, 'UTC'),
    who       String,
    note      String,
    sha256    String COMMENT 'of the value that was sent; empty: nothing was sent',
    edited    Bool COMMENT 'the value that was sent is not the original',
    source    LowCardinality(String) COMMENT 'cluster id and topic it was sent to',
    partition Nullable(Int32) COMMENT 'that it was sent to',
    offset    Nullable(Int64) COMMENT 'replaying: end of the partition before; replayed: its own'
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (letter, at)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS dead_letter_status ${ON_CLUSTER} AS
SELECT letter, source, partition, offset, key, appended_at, reason, detail, size,
       multiIf(done.replayed, 'replayed', done.dropped, 'dropped', 'open') AS status,
       done.action AS action, done.at AS at, done.who AS who, done.note AS note
FROM
(
    SELECT letter, source, partition, offset, key, appended_at, reason, detail,
           length(value) AS size
    FROM dead_letters FINAL
) AS letters
LEFT JOIN
(
    SELECT letter,
           countIf(a.action = 'replayed') > 0 AS replayed,
           countIf(a.action = 'dropped') > 0 AS dropped,
           argMax(toNullable(toString(a.action)), a.at) AS action,
           argMax(toNullable(a.who), a.at) AS who,
           argMax(toNullable(a.note), a.at) AS note,
           max(toNullable(a.at)) AS at
    FROM dead_letter_actions AS a
    GROUP BY letter
) AS done USING letter;
