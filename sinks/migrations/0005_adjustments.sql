-- Corrections of what was counted before, and when each figure became known.

ALTER TABLE spend ${ON_CLUSTER} ADD COLUMN IF NOT EXISTS
    recorded_at DateTime64(3, 'UTC') COMMENT 'when its journal entry was appended; 1970: not known';

ALTER TABLE archive_progress ${ON_CLUSTER} ADD COLUMN IF NOT EXISTS
    lost Int64 COMMENT 'offsets from start on that retention removed before they were archived';

CREATE TABLE IF NOT EXISTS adjustments ${ON_CLUSTER}
(
    adjustment_id String,
    reason        LowCardinality(String),
    journal       LowCardinality(String) COMMENT 'journal and position of its rows in spend',
    position      Int64,
    source        LowCardinality(String) COMMENT 'what it corrects: offsets of this partition',
    partition     Int32,
    start         Int64,
    through       Int64,
    note          String,
    recorded_at   DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (journal, position)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE VIEW IF NOT EXISTS adjusted_spend ${ON_CLUSTER} AS
SELECT a.adjustment_id AS adjustment_id, a.reason AS reason, a.note AS note,
       a.recorded_at AS recorded_at, s.source AS source, s.partition AS partition, s.minute AS minute,
       s.team AS team, s.application AS application, s.provider AS provider, s.model AS model,
       s.calls AS calls, s.cost AS cost
FROM spend AS s INNER JOIN adjustments AS a ON s.journal = a.journal AND s.position = a.position;

-- A month (UTC) is closed a day after its end. What is recorded for it later restates it.
CREATE VIEW IF NOT EXISTS restated_spend ${ON_CLUSTER} AS
SELECT toStartOfMonth(minute) AS month, department, team,
       sumIf(spend.calls, is_late) AS restated_calls,
       sumIf(spend.cost, is_late) AS restated_cost,
       sum(spend.calls) AS calls,
       sum(spend.cost) AS cost,
       maxIf(spend.recorded_at, is_late) AS last_restated_at
FROM (SELECT *, spend.recorded_at >= toDateTime64(toStartOfMonth(minute) + INTERVAL 1 MONTH
                                                 + INTERVAL 1 DAY, 3, 'UTC') AS is_late
      FROM spend) AS spend
GROUP BY month, department, team
HAVING max(is_late);
