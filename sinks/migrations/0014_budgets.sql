-- Budgets against actuals, and the exchange rates that they are counted by, as the guard has them.
-- All of it can be computed again from the ledger and the budgets file.

CREATE TABLE IF NOT EXISTS budget_standings ${ON_CLUSTER}
(
    budget       LowCardinality(String),
    each         Array(String) COMMENT 'dimensions that make a member',
    member       Array(String) COMMENT 'their values, in that order',
    scope        Map(String, String),
    selects      Map(String, Array(String)),
    period       String COMMENT 'name in its calendar; empty: a window that moves',
    period_start DateTime('UTC'),
    period_end   DateTime('UTC'),
    unit         LowCardinality(String) COMMENT 'currency (ISO 4217), tokens or calls',
    limit        Decimal(38, 12),
    used         Nullable(Decimal(76, 24)) COMMENT 'exact; null: an exchange rate is missing',
    used_usd     Nullable(Decimal(38, 12)) COMMENT 'null: the limit is no money',
    hourly       Nullable(Decimal(38, 12)),
    forecast     Nullable(Decimal(38, 12)),
    breach_at    Nullable(DateTime64(3, 'UTC')),
    journal      String,
    position     Int64 COMMENT 'last journal entry that is counted; -1: none is',
    as_of        DateTime64(3, 'UTC') COMMENT 'time by the events',
    recorded_at  DateTime64(3, 'UTC'),
    removed      Bool COMMENT 'the budgets file knows it no more',
    version      UInt64 DEFAULT toUInt64(position + 1)
)
ENGINE = ${REPLICATED}ReplacingMergeTree(version)
ORDER BY (budget, period, each, member, journal);

-- The whole set of a file in one insert: the newest set is what holds.
CREATE TABLE IF NOT EXISTS exchange_rate_sets ${ON_CLUSTER}
(
    currency      LowCardinality(String) COMMENT 'ISO 4217',
    valid_from    DateTime('UTC') COMMENT '1970: always',
    units_per_usd Decimal(38, 12),
    source        Nullable(String) COMMENT 'file that says so',
    recorded_at   DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY (recorded_at, currency, valid_from);

-- A new Kafka cluster begins a new journal, whose positions say nothing of the last one's.
CREATE VIEW IF NOT EXISTS budgets_against_actuals ${ON_CLUSTER} AS
SELECT budget, scope, selects, period, period_start, period_end, unit, `limit`, used,
       used / `limit` AS share, used_usd, hourly, forecast, breach_at, journal, position, as_of,
       recorded_at
FROM
(
    SELECT *
    FROM budget_standings FINAL
    ORDER BY recorded_at DESC
    LIMIT 1 BY budget, period, each, member
)
WHERE NOT removed;

CREATE VIEW IF NOT EXISTS exchange_rates ${ON_CLUSTER} AS
SELECT currency, valid_from,
       nullIf(leadInFrame(valid_from, 1, toDateTime(0, 'UTC'))
              OVER (PARTITION BY currency ORDER BY valid_from
                    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING),
              toDateTime(0, 'UTC')) AS valid_until,
       units_per_usd, source, recorded_at
FROM exchange_rate_sets
WHERE recorded_at = (SELECT max(recorded_at) FROM exchange_rate_sets);

-- For figures by day: the rate of noon, UTC. From 2020 on, as USD holds since ever.
CREATE VIEW IF NOT EXISTS daily_exchange_rates ${ON_CLUSTER} AS
SELECT
    toDate(arrayJoin(range(
        toUInt32(toDate(greatest(e.valid_from, toDateTime('2020-01-01 00:00:00', 'UTC'))
                        - INTERVAL 43201 SECOND, 'UTC')) + 1,
        toUInt32(toDate(ifNull(e.valid_until - INTERVAL 43201 SECOND, now('UTC')), 'UTC')) + 1
    ))) AS day,
    e.currency AS currency, e.units_per_usd AS rate
FROM exchange_rates AS e;
