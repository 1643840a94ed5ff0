"""The file of chargeback rules: what it means, and what is said of mistakes."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from reports.chargeback.rules import Rules, Shared
from schemas.errors import UserError
from streams.chargeback.rules_file import check_names, load_rules

EXAMPLE = Path(__file__).parents[3] / "examples" / "chargeback.yaml"
NOVEMBER = date(2026, 11, 1)


def rules_of(tmp_path: Path, text: str, month: date = NOVEMBER) -> Rules:
    (tmp_path / "rules.yaml").write_text(text)
    return load_rules(tmp_path / "rules.yaml", month)[0]


def test_the_example_means_what_it_says():
    rules, _ = load_rules(EXAMPLE, NOVEMBER)
    assert (rules.currency, rules.rate, rules.rate_since) == (
        "HKD",
        Decimal("7.80"),
        date(2026, 11, 15),
    )
    assert (rules.percent("Product"), rules.percent("Research"), rules.percent(None)) == (5, 0, 5)
    assert rules.shared == (
        Shared("Platform", teams=("platform",)),
        Shared(
            "Without a department",
            unattributed=True,
            by="fixed",
            parts={"Product": Decimal(3), "Operations": Decimal(1)},
        ),
    )


def test_the_rate_is_that_of_the_last_day_of_the_month(tmp_path):
    text = "currency: EUR\nexchange_rates: {EUR: {2026-10-31: 0.9, 2026-11-01: 0.8}}"
    assert rules_of(tmp_path, text, date(2026, 10, 1)).rate == Decimal("0.9")
    assert rules_of(tmp_path, text).rate == Decimal("0.8")


def test_a_file_may_leave_out_everything(tmp_path):
    assert rules_of(tmp_path, "shared: []") == Rules("rules.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("markup: {percent: 5%}", "markup.percent: is '5%'; write percent from -100 to 1000"),
        ("markup: {percent: -101}", "markup.percent: is '-101'; write percent from -100"),
        ("markup: {percents: 5}", "markup.percents: is no key of the markup; did you mean percent"),
        ("markups: {}", "markups: is no key of a chargeback file; did you mean markup?"),
        ("currency: HKD", "currency: HKD has no rates; write units for one USD"),
        (
            "currency: HKD\nexchange_rates: {HKD: {2026-12-01: 7.8}}",
            "exchange_rates.HKD: has no rate for 2026-11; the first one is from 2026-12-01",
        ),
        ("exchange_rates: {USD: {2026-01-01: 1}}", "exchange_rates.USD: one USD is one USD"),
        ("shared: [{name: A}]", "shared[0] (A): shares no spend; write `teams: [platform]`"),
        ("shared: [{teams: [a]}]", "shared[0].name: is missing; write for example `name:"),
        (
            "shared: [{name: A, teams: [a], by: fixed}]",
            "shared[0] (A): by fixed parts needs them",
        ),
        (
            "shared: [{name: A, teams: [a], parts: {Sales: 1}}]",
            "shared[0] (A).parts: has parts and goes by spend; write `by: fixed`",
        ),
        (
            "shared: [{name: A, teams: [a], by: fixed, parts: {Sales: 0}}]",
            "shared[0] (A).parts.Sales: is '0'; write a plain number above 0",
        ),
        (
            "shared:\n- {name: A, teams: [a]}\n- {name: B, teams: [a]}",
            "shared[1] (B).teams: a is in shared[0] already",
        ),
        (
            "shared:\n- {name: A, teams: [a]}\n- {name: A, teams: [b]}",
            "shared[1] (A): has the name of shared[0]; give each its own",
        ),
        (
            "shared:\n- {name: A, unattributed: true}\n- {name: B, unattributed: true}",
            "shared[1] (B).unattributed: shared[0] takes it already",
        ),
        (
            "shared: [{name: A, unattributed: yes}]",
            "shared[0] (A).unattributed: is 'yes'; write true or false",
        ),
        (
            "shared: [{name: A, teams: [a], by: cost}]",
            "shared[0] (A).by: is 'cost'; expected 'spend', 'calls' or 'fixed'",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_what_would_be_right(tmp_path, text, said):
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        rules_of(tmp_path, text)
    assert re.match(rf"{re.escape(str(tmp_path))}/rules\.yaml:\d+: ", str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "markup:\n  departments: {Slaes: 1}",
            "rules.yaml:2: markup.departments.Slaes: the ledger has no department 'Slaes'; "
            "did you mean Sales?",
        ),
        (
            "shared: [{name: A, teams: [serch]}]",
            "shared[0] (A).teams[0]: the ledger has no team 'serch'; did you mean search?",
        ),
    ],
)
def test_a_name_that_the_ledger_has_never_seen_is_a_mistake(tmp_path, text, said):
    (tmp_path / "rules.yaml").write_text(text)
    rules, file = load_rules(tmp_path / "rules.yaml", NOVEMBER)
    with pytest.raises(UserError, match=re.escape(said)):
        check_names(rules, file, {"Sales", "Research"}, {"search", "support"})
