-- What answers from a gateway's cache would have cost: what the provider billed for the newest call
-- before with the same prompt. Not known where there is none, as it was not metered or has no price.
CREATE VIEW IF NOT EXISTS cache_savings ${ON_CLUSTER} AS
SELECT
    hit.occurred_at AS occurred_at, hit.event_id AS event_id, hit.department AS department,
    hit.team AS team, hit.project AS project, hit.use_case AS use_case,
    hit.application AS application, hit.environment AS environment, hit.user AS user,
    hit.customer AS customer, hit.provider AS provider, hit.model AS model,
    hit.prompt_hash AS prompt_hash, if(hit.kind = 'void', -1, 1) AS hits,
    nullIf(paid.event_id, '') AS paid_event_id, hits * paid.cost AS saved
FROM
(
    SELECT *, ifNull(prompt_hash, '') AS prompt FROM usage WHERE served_from_cache
) AS hit
ASOF LEFT JOIN
(
    SELECT provider, model, ifNull(prompt_hash, '') AS prompt, occurred_at, event_id, cost
    FROM usage
    WHERE NOT ifNull(served_from_cache, false) AND kind = 'usage' AND shadow_of IS NULL
        AND ifNull(status, 'ok') = 'ok' AND prompt_hash IS NOT NULL AND cost IS NOT NULL
) AS paid
ON hit.provider = paid.provider AND hit.model = paid.model AND hit.prompt = paid.prompt
    AND hit.occurred_at >= paid.occurred_at;
