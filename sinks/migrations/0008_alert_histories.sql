-- Histories of any length: a transition has a number. Deliveries can wait, remind and be repeated.

ALTER TABLE alerts ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS number UInt32 COMMENT 'place in the history; 0: from before they were numbered',
    MODIFY ORDER BY (alert_id, transition, number);

ALTER TABLE alerts ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS level UInt8,
    ADD COLUMN IF NOT EXISTS until Nullable(DateTime64(3, 'UTC')) COMMENT 'end of the period that it is about',
    ADD COLUMN IF NOT EXISTS review Bool COMMENT 'stays open until somebody acknowledges it',
    ADD COLUMN IF NOT EXISTS by Nullable(String) COMMENT 'who acknowledged it';

ALTER TABLE deliveries ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS number UInt32,
    ADD COLUMN IF NOT EXISTS reminder UInt32 COMMENT '0: the transition itself; n: it was told for the n-th time after it',
    MODIFY ORDER BY (alert_id, transition, channel, number, reminder);

ALTER TABLE deliveries ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS due DateTime64(3, 'UTC') COMMENT 'not before',
    ADD COLUMN IF NOT EXISTS digest Bool COMMENT 'collected with others into one message',
    ADD COLUMN IF NOT EXISTS thread Nullable(String) COMMENT 'what the channel needs to follow up';

CREATE OR REPLACE VIEW alert_history ${ON_CLUSTER} AS
SELECT * EXCEPT body FROM alerts FINAL;

CREATE VIEW IF NOT EXISTS open_alerts ${ON_CLUSTER} AS
SELECT *
FROM (SELECT * FROM alert_history ORDER BY alert_id, number DESC, at DESC LIMIT 1 BY alert_id)
WHERE transition != 'resolved' AND (review OR until IS NULL OR until > now());
