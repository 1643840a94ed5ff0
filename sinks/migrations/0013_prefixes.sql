-- Version 2 of the usage event: the leading part of a prompt that stays the same from call to call.

ALTER TABLE usage_events ${ON_CLUSTER}
    ADD COLUMN IF NOT EXISTS prefix_hash Nullable(String) AFTER prompt_hash,
    ADD COLUMN IF NOT EXISTS prefix_tokens Nullable(Int64) AFTER prefix_hash;

-- A view keeps the columns that it was made with.
CREATE OR REPLACE VIEW usage ${ON_CLUSTER} AS
SELECT * EXCEPT (cost_pico, precedence),
       toDecimal128(cost_pico, 12) / toDecimal128(1000000000000, 0) AS cost
FROM usage_events FINAL;
