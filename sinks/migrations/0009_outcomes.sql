-- Outcomes: what became of a call or of a workflow. The first outcome of an id counts.

CREATE TABLE IF NOT EXISTS outcomes ${ON_CLUSTER}
(
    outcome_id  String,
    occurred_at DateTime64(6, 'UTC') COMMENT 'when it was known',
    of          Nullable(String) COMMENT 'event_id of the call that it judges',
    workflow    Nullable(String),
    name        LowCardinality(String) COMMENT 'what was measured',
    value       Decimal(38, 12),
    department  LowCardinality(Nullable(String)),
    team        LowCardinality(Nullable(String)),
    project     LowCardinality(Nullable(String)),
    use_case    LowCardinality(Nullable(String)),
    application LowCardinality(Nullable(String)),
    environment LowCardinality(Nullable(String)),
    user        LowCardinality(Nullable(String)),
    customer    LowCardinality(Nullable(String)),
    tags        Map(String, String),
    source      LowCardinality(String) COMMENT 'cluster id and topic it came by',
    partition   Int32,
    offset      Int64,
    precedence  UInt64 COMMENT 'highest for the first record of an id',
    landed_at   DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}ReplacingMergeTree(precedence)
ORDER BY outcome_id;

CREATE TABLE IF NOT EXISTS outcome_progress ${ON_CLUSTER}
(
    source    LowCardinality(String),
    partition Int32,
    through   Int64,
    refused   Int64 COMMENT 'records of this insert that are no outcomes',
    landed_at DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (source, partition, through);

CREATE VIEW IF NOT EXISTS reported_outcomes ${ON_CLUSTER} AS
SELECT * EXCEPT precedence FROM outcomes FINAL;
