-- What could have been saved, call by call. Views with parameters: days are UTC, the last included.

-- Every call of these days, shadows and what a void took back left out. `hopeful`: a cache of answers
-- and of prefixes is shared by all teams, and a call waits for the answer to the same prompt that is
-- on its way. Otherwise each team has its own, and only an answer that was there when the call began
-- could have served it.
--
-- It looks back and ahead as far as answers and prefixes live, so that the first and the last day
-- are judged like any other.
CREATE VIEW IF NOT EXISTS call_savings ${ON_CLUSTER} AS
WITH
reach AS
(
    SELECT *
    FROM usage
    WHERE occurred_at >= toDateTime64({first:Date}, 6, 'UTC')
                         - toIntervalSecond({answer_seconds:UInt32} + {prefix_seconds:UInt32})
      AND occurred_at < toDateTime64({last:Date} + 1, 6, 'UTC')
                        + toIntervalSecond({prefix_seconds:UInt32})
),
calls AS
(
    SELECT occurred_at, event_id, department, team, project, use_case, application, environment,
           user, customer, provider, model, region, service_tier, status, routing_tier,
           routing_reason, prompt_hash, price_ref, cost, cache_read_tokens,
           ifNull(served_from_cache, false) AS from_cache,
           ifNull(attempt, 1) > 1 OR retry_of IS NOT NULL AS is_retry,
           ifNull(status, 'ok') != 'ok' AS is_failed,
           occurred_at - toIntervalMillisecond(ifNull(latency_ms, 0)) AS began_at,
           intDiv(toUnixTimestamp64Micro(occurred_at), 60000000) AS minute,
           ifNull(input_tokens, 0) + ifNull(cache_read_tokens, 0)
               + ifNull(cache_write_5m_tokens, 0) + ifNull(cache_write_1h_tokens, 0)
               + ifNull(input_audio_tokens, 0) + ifNull(cache_read_audio_tokens, 0)
               + ifNull(input_image_tokens, 0) + ifNull(cache_read_image_tokens, 0) AS prompt_tokens,
           if(prefix_tokens >= {least_prefix_tokens:UInt32} AND prompt_tokens > 0
                  AND NOT from_cache, prefix_hash, NULL) AS prefix,
           -- A cache holds the beginning of a prompt: what was read or written is of the prefix.
           if(prefix IS NULL, 0,
              least(ifNull(input_tokens, 0),
                    greatest(ifNull(prefix_tokens, 0) - ifNull(cache_read_tokens, 0)
                             - ifNull(cache_write_5m_tokens, 0)
                             - ifNull(cache_write_1h_tokens, 0), 0))) AS uncached,
           -- To sort by numbers takes a tenth of the time that names take.
           if({hopeful:Bool}, '', toString(team)) AS whose,
           if(prompt_hash IS NULL, toUInt128(0),
              reinterpretAsUInt128(sipHash128(whose, provider, model, ifNull(prompt_hash, ''))))
               AS prompt_key,
           if(prefix IS NULL, toUInt128(0),
              reinterpretAsUInt128(sipHash128(whose, provider, model, ifNull(region, ''),
                                              ifNull(prefix, '')))) AS prefix_key,
           if(uncached = 0, toUInt64(0),
              cityHash64(provider, model, ifNull(service_tier, ''), ifNull(region, ''),
                         ifNull(price_ref, ''))) AS price_key
    FROM reach
    WHERE kind = 'usage' AND shadow_of IS NULL
      AND event_id NOT IN (SELECT assumeNotNull(voids) FROM reach WHERE kind = 'void')
),
rates AS
(
    SELECT cityHash64(provider, model, ifNull(service_tier, ''), ifNull(region, ''),
                      ifNull(price_ref, '')) AS key,
           groupArray((intDiv(toUnixTimestamp(valid_from), 60),
                       ifNull(intDiv(toUnixTimestamp(valid_until), 60), 4611686018427387904),
                       day_from, day_until, ifNull(above_input_tokens, -1),
                       ifNull(upto_input_tokens, 4611686018427387904), denominator,
                       ifNull(input_tokens, 0), ifNull(cache_read_tokens, 0),
                       ifNull(greatest(cache_write_5m_tokens - input_tokens, 0), 0),
                       input_tokens IS NOT NULL AND cache_read_tokens IS NOT NULL)) AS candidates
    FROM (SELECT * FROM prices WHERE price_ref IS NOT NULL LIMIT 1 BY line)
    GROUP BY key
),
answered AS
(
    SELECT *,
           anyLast(if(is_failed OR from_cache, NULL, event_id)) OVER prompts AS before_id,
           anyLast(if(is_failed OR from_cache, NULL, occurred_at)) OVER prompts AS before_at,
           ifNull(prompt_hash IS NOT NULL AND NOT is_failed AND NOT from_cache AND NOT is_retry
                  AND before_at >= occurred_at - toIntervalSecond({answer_seconds:UInt32})
                  AND ({hopeful:Bool} OR before_at <= began_at), false) AS is_duplicate
    FROM calls
    WINDOW prompts AS (PARTITION BY prompt_key ORDER BY occurred_at, event_id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
repeated AS
(
    -- Both as it was, and as it would be without the duplicates, which keep no prefix alive.
    SELECT *,
           ifNull(lagInFrame(toNullable(occurred_at)) OVER whole
                  >= occurred_at - toIntervalSecond({prefix_seconds:UInt32}), false) AS is_read,
           ifNull(leadInFrame(toNullable(occurred_at)) OVER whole
                  <= occurred_at + toIntervalSecond({prefix_seconds:UInt32}), false) AS is_kept,
           ifNull(lagInFrame(toNullable(occurred_at)) OVER rest
                  >= occurred_at - toIntervalSecond({prefix_seconds:UInt32}), false) AS is_read_next,
           ifNull(leadInFrame(toNullable(occurred_at)) OVER rest
                  <= occurred_at + toIntervalSecond({prefix_seconds:UInt32}), false) AS is_kept_next
    FROM answered
    WINDOW whole AS (PARTITION BY prefix_key ORDER BY occurred_at, event_id
                     ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING),
           rest AS (PARTITION BY prefix_key, is_duplicate ORDER BY occurred_at, event_id
                    ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)
),
rated AS
(
    SELECT r.*,
           arrayFirst(c -> c.1 <= minute AND minute < c.2
                           AND c.3 <= minute % 1440 AND minute % 1440 < c.4
                           AND c.5 < prompt_tokens AND prompt_tokens <= c.6, candidates) AS line,
           line.7 > 0 AND line.11 AS is_known,
           greatest(line.7, 1) AS denominator,
           toInt128(uncached) * (line.8 - line.9) AS less,
           -- What the first of a row pays more, where providers charge for writing to the cache.
           toInt128(uncached) * line.10 AS more,
           multiIf(uncached = 0, toInt128(0), is_read, less,
                   is_kept OR NOT {hopeful:Bool}, -more, toInt128(0)) AS amount,
           multiIf(uncached = 0 OR is_duplicate, toInt128(0), is_read_next, less,
                   is_kept_next OR NOT {hopeful:Bool}, -more, toInt128(0)) AS next_amount
    FROM repeated AS r
    LEFT ANY JOIN rates ON r.price_key = rates.key
    WHERE r.occurred_at >= toDateTime64({first:Date}, 6, 'UTC')
      AND r.occurred_at < toDateTime64({last:Date} + 1, 6, 'UTC')
)
SELECT occurred_at, event_id, department, team, project, use_case, application, environment, user,
       customer, provider, model, region, service_tier, status, is_failed, is_retry,
       from_cache AS served_from_cache, routing_tier, routing_reason, cost, prompt_hash,
       is_duplicate, if(is_duplicate, before_id, NULL) AS answered_by,
       if(is_duplicate, before_at, NULL) AS answered_at,
       if(is_duplicate, cost, toDecimal128(0, 12)) AS duplicate_saved,
       prefix AS prefix_hash, is_known AS prefix_rates_known,
       if(is_read, uncached, 0) AS prefix_tokens,
       if(is_read_next AND NOT is_duplicate, uncached, 0) AS next_prefix_tokens,
       -- Rounded to whole pico-dollars, half to even, like every cost.
       if(prefix_tokens > 0 AND NOT is_known, NULL,
          sign(amount) * toDecimal128(
              intDiv(abs(amount), denominator)
              + if(2 * (abs(amount) % denominator) + intDiv(abs(amount), denominator) % 2
                   > denominator, 1, 0), 12) / toDecimal128(1000000000000, 0)) AS prefix_saved,
       if(next_prefix_tokens > 0 AND NOT is_known, NULL,
          sign(next_amount) * toDecimal128(
              intDiv(abs(next_amount), denominator)
              + if(2 * (abs(next_amount) % denominator) + intDiv(abs(next_amount), denominator) % 2
                   > denominator, 1, 0), 12) / toDecimal128(1000000000000, 0)) AS next_prefix_saved,
       if(is_duplicate, toDecimal128(0, 12), cost - ifNull(next_prefix_saved, 0)) AS cost_left
FROM rated;

-- How the prompts of a workflow grew: what its calls after the first few sent beyond the median of
-- these. A row for each workflow with more calls than that.
CREATE VIEW IF NOT EXISTS workflow_growth ${ON_CLUSTER} AS
WITH
reach AS
(
    SELECT *
    FROM usage
    WHERE occurred_at >= toDateTime64({first:Date}, 6, 'UTC')
      AND occurred_at < toDateTime64({last:Date} + 1, 6, 'UTC')
),
calls AS
(
    SELECT occurred_at, event_id, workflow, department, team, project, use_case, application,
           customer, provider, model, region, service_tier, price_ref, cost,
           intDiv(toUnixTimestamp64Micro(occurred_at), 60000000) AS minute,
           [ifNull(input_tokens, 0), ifNull(cache_read_tokens, 0),
            ifNull(cache_write_5m_tokens, 0), ifNull(cache_write_1h_tokens, 0),
            ifNull(input_audio_tokens, 0), ifNull(cache_read_audio_tokens, 0),
            ifNull(input_image_tokens, 0), ifNull(cache_read_image_tokens, 0)] AS tokens,
           arraySum(tokens) AS prompt_tokens,
           cityHash64(provider, model, ifNull(service_tier, ''), ifNull(region, ''),
                      ifNull(price_ref, '')) AS price_key
    FROM reach
    WHERE workflow IS NOT NULL AND kind = 'usage' AND shadow_of IS NULL
      AND NOT ifNull(served_from_cache, false)
      AND event_id NOT IN (SELECT assumeNotNull(voids) FROM reach WHERE kind = 'void')
),
rates AS
(
    SELECT cityHash64(provider, model, ifNull(service_tier, ''), ifNull(region, ''),
                      ifNull(price_ref, '')) AS key,
           groupArray((intDiv(toUnixTimestamp(valid_from), 60),
                       ifNull(intDiv(toUnixTimestamp(valid_until), 60), 4611686018427387904),
                       day_from, day_until, ifNull(above_input_tokens, -1),
                       ifNull(upto_input_tokens, 4611686018427387904), denominator,
                       -- What was billed has a rate: where there is none, there are no tokens.
                       arrayMap(rate -> ifNull(rate, 0),
                                [input_tokens, cache_read_tokens, cache_write_5m_tokens,
                                 cache_write_1h_tokens, input_audio_tokens,
                                 cache_read_audio_tokens, input_image_tokens,
                                 cache_read_image_tokens]))) AS candidates
    FROM (SELECT * FROM prices WHERE price_ref IS NOT NULL LIMIT 1 BY line)
    GROUP BY key
),
rated AS
(
    SELECT c.*,
           arrayFirst(l -> l.1 <= minute AND minute < l.2
                           AND l.3 <= minute % 1440 AND minute % 1440 < l.4
                           AND l.5 < prompt_tokens AND prompt_tokens <= l.6, candidates) AS line,
           toInt256(greatest(line.7, 1)) * greatest(prompt_tokens, 1) AS parts,
           if(line.7 > 0, arraySum((n, rate) -> toInt256(n) * rate, tokens,
                                   arrayResize(line.8, 8, toInt128(0))), NULL) AS amount
    FROM calls AS c
    LEFT ANY JOIN rates ON c.price_key = rates.key
),
runs AS
(
    SELECT workflow, any(department) AS department, any(team) AS team, any(project) AS project,
           any(use_case) AS use_case, any(application) AS application, any(customer) AS customer,
           min(occurred_at) AS began_at, count() AS calls, sum(rated.cost) AS cost,
           arraySort(groupArray((occurred_at, event_id, prompt_tokens, amount, parts))) AS run,
           arraySort(arrayMap(c -> c.3, arraySlice(run, 1, {first_calls:UInt32}))) AS beginning,
           beginning[intDiv(length(beginning) + 1, 2)] AS usual_prompt_tokens,
           arraySlice(run, {first_calls:UInt32} + 1) AS later
    FROM rated
    GROUP BY workflow
    HAVING calls > {first_calls:UInt32}
)
SELECT assumeNotNull(workflow) AS workflow, department, team, project, use_case, application,
       customer, began_at, calls, cost, usual_prompt_tokens,
       arrayMax(c -> c.3, run) AS most_prompt_tokens,
       arraySum(c -> c.3, run) AS prompt_tokens,
       arraySum(c -> greatest(c.3 - usual_prompt_tokens, 0), later) AS grown_tokens,
       arraySum(c -> if(c.4 IS NULL, greatest(c.3 - usual_prompt_tokens, 0), 0), later)
           AS grown_tokens_without_rates,
       -- At each call's own mean rate per prompt token, in whole pico-dollars, half up.
       toDecimal128(arraySum(c -> intDiv(2 * ifNull(c.4, 0) * greatest(c.3 - usual_prompt_tokens, 0)
                                         + c.5, 2 * c.5), later), 12)
           / toDecimal128(1000000000000, 0) AS grown_cost
FROM runs;
