"""The summaries and the views of unit economics, against sums over the ledger made by hand."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.journal import Counted
from schemas.outcome import checked_outcome
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.migrate import migrations
from sinks.outcomes import Outcomes, Read, Reported
from tests.support.ledger_rows import JOURNAL, SOURCE, covering, journal_row, journal_rows

pytestmark = pytest.mark.slow

SEPTEMBER = datetime(2026, 9, 29, 22, tzinfo=UTC)
FAILED = ("error", "timeout", "rate_limited", "cancelled")
LEDGER_SUMS = f"""
    SELECT sum(calls), sum(cost), sumIf(calls, status IN {FAILED}), sumIf(cost, status IN {FAILED}),
           sumIf(calls, is_retry), sumIf(cost, is_retry),
           sumIf(calls, is_retry OR status IN {FAILED}),
           sumIf(cost, is_retry OR status IN {FAILED}),
           sumIf(calls, rating = 'priced'), sumIf(calls, rating = 'unpriced'),
           sumIf(calls, rating = 'no_usage'), sumIf(calls, usage_source = 'estimated'),
           sumIf(calls, served_from_cache), sum(provider_cost),
           sum(input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
               + input_audio_tokens + cache_read_audio_tokens + input_image_tokens
               + cache_read_image_tokens + output_tokens + reasoning_tokens + output_audio_tokens
               + output_image_tokens)
    FROM spend
"""
SUMMARY_SUMS = """
    SELECT sum(calls), sum(cost), sum(failed_calls), sum(failed_cost), sum(retries),
           sum(retry_cost), sum(wasted_calls), sum(wasted_cost), sum(priced_calls),
           sum(unpriced_calls), sum(calls_without_usage), sum(estimated_calls), sum(cache_hits),
           sum(provider_cost),
           sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens)
    FROM spend_by_day
"""


def any_row(dice: random.Random) -> dict[str, Any]:
    """A ledger row in which every column of a summary may count, taken back at times."""
    rating = dice.choice(("priced", "priced", "unpriced", "no_usage"))
    sign = dice.choice((1, 1, 1, -1))
    buckets = ("input_tokens", "cache_read_tokens", "cache_write_1h_tokens", "input_image_tokens")
    answers = ("output_tokens", "reasoning_tokens", "output_audio_tokens")
    return journal_row(
        minute=SEPTEMBER + timedelta(minutes=dice.randrange(5000)),
        department=dice.choice((None, "product", "service")),
        team=dice.choice(("search", "support")),
        user=dice.choice((None, "ada", "bob")),
        workflow=dice.choice((None, "run-1", "run-2")),
        status=dice.choice((None, "ok", *FAILED)),
        usage_source=dice.choice(("reported", "estimated")),
        served_from_cache=dice.choice((None, True, False)),
        is_retry=dice.random() < 0.3,
        is_shadow=dice.random() < 0.2,
        rating=rating,
        calls=sign * dice.randrange(1, 9),
        cost=sign * Decimal(dice.randrange(10**14)).scaleb(-12) if rating == "priced" else None,
        provider_cost=dice.choice((None, Decimal("0.000000000001"))),
        **{name: sign * dice.randrange(10**6) for name in (*buckets, *answers)},
    )


def write(clickhouse: ClickHouse, *entries: list[dict[str, Any]]) -> None:
    ledger = Ledger(clickhouse, JOURNAL)
    for position, rows in enumerate(entries):
        ranges = (covering(position, position),)
        ledger.write(position, ranges, Counted(ranges, None, journal_rows(*rows)), SEPTEMBER)


def report(clickhouse: ClickHouse, *outcomes: dict[str, Any]) -> None:
    known = [
        checked_outcome({"outcome_id": f"o{number}", "name": "solved", "value": "1"} | outcome)
        for number, outcome in enumerate(outcomes)
    ]
    reported = [Reported(outcome, 0, offset, 0) for offset, outcome in enumerate(known)]
    Outcomes(clickhouse, SOURCE).write(reported, {0: Read(len(known) - 1)})


@pytest.mark.parametrize("seed", range(3))
def test_the_daily_summary_adds_up_to_the_ledger(clickhouse, seed):
    dice = random.Random(seed)
    write(clickhouse, *([any_row(dice) for _ in range(100)] for _ in range(5)))
    assert clickhouse.query(SUMMARY_SUMS) == clickhouse.query(LEDGER_SUMS)
    assert clickhouse.query(
        "SELECT sum(calls), sum(cost) FROM spend_by_workflow"
    ) == clickhouse.query(
        "SELECT sum(calls), sum(cost) FROM spend WHERE workflow IS NOT NULL AND NOT is_shadow"
    )


def test_what_an_older_ledger_holds_is_copied_once_however_often_the_migration_runs(clickhouse):
    dice = random.Random(4)
    write(clickhouse, [any_row(dice) for _ in range(200)])
    (migration,) = (m for m in migrations() if m.number == 11)
    before = clickhouse.query(SUMMARY_SUMS)
    for table in ("spend_by_day", "spend_by_workflow"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    for _ in range(2):
        for statement in migration.statements(None):
            clickhouse.command(statement)
    assert clickhouse.query(SUMMARY_SUMS) == before == clickhouse.query(LEDGER_SUMS)


def test_an_outcome_costs_its_teams_spend_for_that_use_case_with_failed_work(clickhouse):
    minute = SEPTEMBER.replace(day=3)
    claims = {"minute": minute, "use_case": "claims"}
    write(
        clickhouse,
        [
            journal_row(**claims, workflow="run-1", cost=Decimal(2)),
            journal_row(**claims, workflow="run-2", status="error", cost=Decimal(1)),
            journal_row(minute=minute, use_case="other", cost=Decimal(5)),
            journal_row(minute=minute, team="support", cost=Decimal(100)),
            journal_row(minute=SEPTEMBER.replace(month=10), use_case="claims", cost=Decimal(7)),
        ],
    )
    known = {"occurred_at": minute.isoformat()}
    report(
        clickhouse,
        known | {"workflow": "run-1"},
        known | {"of": "e1", "team": "search", "use_case": "claims", "value": "3"},
        known | {"of": "e2", "team": "search", "name": "insight"},
        known | {"workflow": "unheard-of", "name": "insight"},
    )
    columns = "team, use_case, name, outcomes, value, cost, usd_per_outcome"
    assert clickhouse.query(f"SELECT {columns} FROM unit_costs ORDER BY name, team") == [
        ("search", None, "insight", 1, Decimal(1), Decimal(8), Decimal(8)),
        (None, None, "insight", 1, Decimal(1), None, None),
        ("search", "claims", "solved", 2, Decimal(4), Decimal(3), Decimal("1.5")),
    ]


def test_a_workflow_over_the_end_of_a_month_is_one_workflow_of_its_last(clickhouse):
    write(
        clickhouse,
        [
            journal_row(minute=SEPTEMBER, workflow="run", cost=Decimal(1)),
            journal_row(minute=SEPTEMBER + timedelta(days=3), workflow="run", cost=Decimal(2)),
            journal_row(minute=SEPTEMBER, workflow="run", is_shadow=True, cost=Decimal(50)),
            journal_row(minute=SEPTEMBER, workflow="dark", rating="unpriced", cost=None),
        ],
    )
    columns = "toString(month), workflows, calls, cost, usd_per_workflow, dearest"
    assert clickhouse.query(f"SELECT {columns} FROM workflow_costs ORDER BY month") == [
        ("2026-09-01", 1, 1, None, None, None),
        ("2026-10-01", 1, 2, Decimal(3), Decimal(3), Decimal(3)),
    ]


def test_a_user_of_two_teams_is_one_user_of_the_whole_and_all_spend_is_shared(clickhouse):
    product = {"department": "product", "minute": SEPTEMBER}
    write(
        clickhouse,
        [
            journal_row(**product, user="ada", cost=Decimal(1)),
            journal_row(**product, user="ada", team="support", cost=Decimal(2)),
            journal_row(**product, user="bob", cost=Decimal(3)),
            journal_row(**product, user=None, cost=Decimal(4)),
            journal_row(minute=SEPTEMBER, user=None, team="batch", cost=Decimal(10)),
        ],
    )
    columns = "grain, department, team, users, cost, usd_per_user"
    rows = clickhouse.query(f"SELECT {columns} FROM active_users ORDER BY grain, department, team")
    assert rows == [
        ("all", None, None, 2, Decimal(20), Decimal(10)),
        ("department", "product", None, 2, Decimal(10), Decimal(5)),
        ("department", None, None, 0, Decimal(10), None),
        ("team", "product", "search", 2, Decimal(8), Decimal(4)),
        ("team", "product", "support", 1, Decimal(2), Decimal(2)),
        ("team", None, "batch", 0, Decimal(10), None),
    ]


def test_the_shares_of_tiers_are_of_their_teams_month_without_shadows(clickhouse):
    write(
        clickhouse,
        [
            journal_row(minute=SEPTEMBER, routing_tier="frontier", cost=Decimal(3)),
            journal_row(minute=SEPTEMBER, routing_tier="balanced", calls=3, cost=Decimal(1)),
            journal_row(minute=SEPTEMBER, routing_tier="balanced", is_shadow=True),
            journal_row(minute=SEPTEMBER, team="dark", rating="unpriced", cost=None),
        ],
    )
    columns = "team, routing_tier, share_of_calls, share_of_cost"
    assert clickhouse.query(f"SELECT {columns} FROM tier_shares ORDER BY team, routing_tier") == [
        ("dark", None, Decimal(1), None),
        ("search", "balanced", Decimal("0.75"), Decimal("0.25")),
        ("search", "frontier", Decimal("0.25"), Decimal("0.75")),
    ]


def test_customers_and_what_names_nobody_are_told_apart(clickhouse):
    write(
        clickhouse,
        [
            journal_row(minute=SEPTEMBER, customer="acme", project="p", cost=Decimal(3)),
            journal_row(minute=SEPTEMBER, customer="acme", rating="unpriced", cost=None),
            journal_row(minute=SEPTEMBER, user="ada", cost=Decimal(5)),
        ],
    )
    assert clickhouse.query(
        "SELECT customer, calls, calls_not_in_cost, cost FROM customer_costs"
    ) == [("acme", 2, 1, Decimal(3))]
    columns = "calls, cost, unpriced_calls, calls_without_project, cost_without_project, "
    columns += "calls_without_user, cost_without_user, calls_without_use_case"
    assert clickhouse.query(f"SELECT {columns} FROM data_quality") == [
        (3, Decimal(8), 1, 2, Decimal(5), 2, Decimal(3), 3)
    ]
