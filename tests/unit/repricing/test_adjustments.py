"""Adjustments of a repricing: numbered, small enough, and of prices only."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from schemas.journal import SourcePartition, adjustment_headers, decode_entry
from streams.repricing.apply import NotOnlyPrices, adjustment_of
from streams.repricing.pending import Correction, Group
from streams.repricing.scope import Scope
from tests.support.ledger_rows import SOURCE, journal_row

P0, P1 = SourcePartition(SOURCE, 0), SourcePartition(SOURCE, 1)


def moved(team: str, more: str) -> Group:
    """A call of this team moves from one price to another."""
    same = {"team": team, "provider_cost": None}
    old = {"price_ref": "old", "calls": -1, "input_tokens": -7, "cost": Decimal(-1)}
    new = {"price_ref": "new", "calls": 1, "input_tokens": 7, "cost": 1 + Decimal(more)}
    return [journal_row(**same | old), journal_row(**same | new)]


def correction(*groups: Group) -> Correction:
    return Correction(P0, 5, 9, groups)


def test_a_partitions_repricings_are_numbered():
    adjustment, payload = adjustment_of(correction(moved("a", "0.5")), {P0: 3, P1: 7}, "why", 10**6)
    assert adjustment.adjustment_id == f"repricing/{P0}/3"
    assert (adjustment.key, adjustment.start, adjustment.through) == (P0, 5, 9)
    assert (adjustment.reason, adjustment.note) == ("repricing", "why")
    rows = decode_entry(adjustment_headers("t", adjustment), payload).rows
    assert sum(rows["cost"].to_pylist()) == Decimal("0.5")


def test_a_payload_that_is_too_large_has_fewer_groups_but_whole_ones():
    groups = [moved(f"team-{n}", "1") for n in range(64)]
    _, whole = adjustment_of(correction(*groups), {}, "", 10**6)
    adjustment, part = adjustment_of(correction(*groups), {}, "", len(whole) - 1)
    assert len(part) < len(whole)
    assert adjustment.adjustment_id == f"repricing/{P0}/0"
    rows = decode_entry(adjustment_headers("t", adjustment), part).rows
    assert rows.num_rows == 64
    assert sum(rows["calls"].to_pylist()) == 0
    _, least = adjustment_of(correction(*groups), {}, "", 1)
    assert decode_entry(adjustment_headers("t", adjustment), least).rows.num_rows == 2


@pytest.mark.parametrize("field", ["calls", "output_tokens", "provider_cost"])
def test_what_changes_more_than_prices_is_refused(field):
    old, new = moved("a", "1")
    with pytest.raises(NotOnlyPrices, match="spendstream reconcile"):
        adjustment_of(correction([old, new | {field: 5}]), {}, "", 10**6)


def test_a_scope_includes_its_last_day_and_names_only_what_is_narrowed():
    scope = Scope(date(2026, 10, 1), date(2026, 10, 31), model="gpt-4o")
    assert str(scope) == "2026-10-01 to 2026-10-31 (UTC), model gpt-4o"
    assert scope.parameters == {
        "first": "2026-10-01 00:00:00",
        "end": "2026-11-01 00:00:00",
        "model": "gpt-4o",
    }
    assert scope.condition("minute").endswith("AND model = {model:String}")
