"""The simulated month in ClickHouse is what was generated, to the last digit."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest

from tests.support.simulated_month import FAILED, cost_of, fill_month, known_month

pytestmark = pytest.mark.slow

NOVEMBER = date(2026, 11, 1)


def test_the_ledger_and_the_archive_hold_what_was_generated(clickhouse):
    truth = fill_month(clickhouse, NOVEMBER, thinned=100)
    assert truth.cost > 10
    for table in ("spend", "usage"):
        ((cost,),) = clickhouse.query(f"SELECT sum(cost) FROM {table}")
        assert cost == truth.cost
    teams = dict(clickhouse.query("SELECT team, sum(cost) FROM spend_by_day GROUP BY team"))
    assert teams == truth.cost_by("team")
    tiers = dict(
        clickhouse.query(
            "SELECT routing_tier, sum(calls) FROM spend_by_day WHERE NOT is_shadow GROUP BY 1"
        )
    )
    assert tiers == truth.calls_by("routing_tier", shadows=False)
    ((failed, retries, unpriced, missing, estimated),) = clickhouse.query(
        "SELECT sum(failed_cost), sum(retry_cost), sum(unpriced_calls), "
        "sum(calls_without_usage), sum(estimated_calls) FROM spend_by_day"
    )
    assert failed == cost_of(truth.where(lambda call: call["status"] in FAILED))
    assert retries == cost_of(truth.where(lambda call: call.is_retry))
    assert unpriced == len(
        truth.where(lambda call: call.cost is None and call["usage_source"] != "missing")
    )
    assert missing == len(truth.where(lambda call: call["usage_source"] == "missing"))
    assert estimated == len(truth.where(lambda call: call["usage_source"] == "estimated"))
    outcomes = defaultdict(int)
    for outcome in truth.outcomes:
        outcomes[outcome["name"]] += 1
    assert (
        dict(clickhouse.query("SELECT name, count() FROM reported_outcomes GROUP BY name"))
        == outcomes
    )


def test_two_months_land_one_after_the_other(clickhouse):
    october = fill_month(clickhouse, date(2026, 10, 12), thinned=400)
    november = fill_month(clickhouse, NOVEMBER, thinned=400)
    rows = clickhouse.query("SELECT toStartOfMonth(minute), sum(cost) FROM spend GROUP BY 1")
    assert dict(rows) == {october.month: october.cost, november.month: november.cost}
    assert clickhouse.query("SELECT count() FROM usage") == [
        (len(october.calls) + len(november.calls),)
    ]


def test_a_tenth_of_the_requests_repeat_and_two_thirds_of_the_dear_calls_are_routable():
    truth = known_month(NOVEMBER)
    assert abs(truth.duplicate_share - Decimal("0.10")) < Decimal("0.005")
    assert abs(truth.routable_share - Decimal("0.65")) < Decimal("0.01")
    assert abs(truth.cacheable_share - Decimal("0.30")) < Decimal("0.01")
    assert truth.last == date(2026, 11, 30)
    assert 0 < truth.routable_saved < cost_of(truth.routable)
