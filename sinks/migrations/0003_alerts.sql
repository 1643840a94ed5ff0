-- Alerts: every transition, and what became of its delivery to each channel.

CREATE TABLE IF NOT EXISTS alerts ${ON_CLUSTER}
(
    alert_id      String,
    transition    LowCardinality(String) COMMENT 'opened, escalated or resolved',
    rule          LowCardinality(String),
    scope         Map(String, String),
    period        String,
    threshold     String,
    severity      LowCardinality(String),
    title         String,
    detail        String,
    value         Nullable(Decimal(38, 12)),
    limit         Nullable(Decimal(38, 12)),
    unit          LowCardinality(String),
    since         DateTime64(3, 'UTC'),
    at            DateTime64(3, 'UTC'),
    journal       LowCardinality(String),
    position      Int64,
    body          String COMMENT 'the transition as it was published, JSON'
)
ENGINE = ${REPLICATED}ReplacingMergeTree
ORDER BY (alert_id, transition);

CREATE TABLE IF NOT EXISTS deliveries ${ON_CLUSTER}
(
    alert_id   String,
    transition LowCardinality(String),
    channel    LowCardinality(String),
    state      LowCardinality(String) COMMENT 'delivered, or rejected: parked, not tried again',
    attempts   UInt32,
    error      String,
    at         DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}ReplacingMergeTree(at)
ORDER BY (alert_id, transition, channel);
