"""True-ups: what the rows of their entries add up to is what was asked for."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.journal import Adjustment, adjustment_headers, decode_entry, encode_rows
from streams.guard.money import pico, usd
from streams.trueup.money import MOST_ROWS, Amount, TrueUp

OWN = {"provider": "own", "model": "unit"}
AMOUNTS = st.lists(
    st.builds(
        lambda day, pico_usd, team: Amount(
            date(2026, 3, 1) + timedelta(days=day), usd(pico_usd), OWN | {"team": team}
        ),
        st.integers(0, 30),
        st.integers(-(10**24), 10**24),
        st.sampled_from(["search", "support", "ads"]),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(AMOUNTS, st.integers(1, 40))
def test_the_entries_of_a_true_up_add_up_to_it_to_the_last_digit(amounts, copies):
    true_up = TrueUp("id", "ref", "note", tuple(amounts) * copies)
    rows, names = [], []
    for name, table in true_up.parts():
        adjustment = Adjustment(
            adjustment_id=name, reason="true_up", source="s", partition=0, start=0, through=-1
        )
        entry = decode_entry(adjustment_headers("t", adjustment), encode_rows(table))
        assert 0 < entry.rows.num_rows <= MOST_ROWS
        rows += entry.rows.to_pylist()
        names.append(name)
    assert sum(pico(row["cost"]) for row in rows) == pico(true_up.total)
    assert pico(true_up.total) == copies * sum(pico(amount.usd) for amount in amounts)
    assert {row["calls"] for row in rows} <= {0}
    assert len(set(names)) == len(names)
    assert [name for name, _ in true_up.parts()] == names
