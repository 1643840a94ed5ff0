"""A day of 300 users: nobody is alarmed for nothing, and of what goes wrong by all that is due."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from tests.support.governance import Governance
from tests.support.simulated_company import HOUR, prices
from tests.support.simulated_day import (
    BUDGETS,
    DETECTORS,
    EXPECTED,
    LOOPING,
    ORDINARY,
    Expected,
    SimulatedDay,
    histories,
    turns,
)

DAY = datetime(2026, 3, 20, tzinfo=UTC)
THINNED = 4


def governed(folder: Path) -> Governance:
    files = {"budgets": BUDGETS, "detectors": DETECTORS, "prices": prices(THINNED)}
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return Governance(folder)


def said(governance: Governance) -> list[Expected]:
    return histories({"alert_id": a.alert_id, **a.model_dump()} for a in governance.published)


def test_an_ordinary_day_raises_no_false_alert(tmp_path):
    day, governance = SimulatedDay(DAY, incidents=False, thinned=THINNED), governed(tmp_path)
    governance.take(day.between(day.month, day.day))
    today = day.between(day.day, day.at(24))
    for _, sent in groupby(today, key=lambda one: one.at and (one.at - DAY) // HOUR):
        governance.take(list(sent))
    assert said(governance) == sorted(ORDINARY)


def test_of_what_goes_wrong_in_a_day_all_that_is_due_is_said_and_no_more(tmp_path):
    day, governance = SimulatedDay(DAY, thinned=THINNED), governed(tmp_path)
    for turn in turns(day):
        governance.take(day.between(*turn))
    # The archive knows who repeats prompts, and is not here.
    loop = {one for one in EXPECTED if dict(one.scope) == LOOPING}
    assert said(governance) == sorted(EXPECTED - loop)
