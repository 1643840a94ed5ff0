"""The detectors file: what it may say, and what is said of mistakes in it."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.detectors.access import Access
from streams.detectors.concerns import detectors_of
from streams.detectors.settings_file import Detectors, UnattributedRule, read_detectors
from streams.yaml_file import YamlFile

EXAMPLE = Path(__file__).parents[3] / "examples" / "detectors.yaml"


@pytest.fixture
def reading(tmp_path):
    def read(text: str) -> Detectors:
        path = tmp_path / "detectors.yaml"
        path.write_text(text)
        return read_detectors(path)

    return read


def test_without_a_file_all_are_on_but_access_and_unattributed():
    names = {detector.name for detector in detectors_of(Detectors())}
    assert names == {"runaway", "context_bloat", "anomaly"}


def test_a_file_changes_what_it_names(reading):
    detectors = reading("runaway: {calls: 5, cost: 1.50, within: 90m, ignore: nightly-*}")
    assert detectors.runaway is not None
    assert detectors.runaway.calls == 5
    assert detectors.runaway.cost == Decimal("1.50")
    assert detectors.runaway.within == timedelta(minutes=90)
    assert detectors.runaway.ignore == ("nightly-*",)
    assert detectors.anomaly == Detectors().anomaly


def test_off_leaves_one_out_and_nothing_is_the_default(reading):
    detectors = reading("anomaly: off\nrunaway:\ncontext_bloat: on\nunattributed: off")
    assert [detector.name for detector in detectors_of(detectors)] == ["runaway", "context_bloat"]
    assert detectors.runaway == Detectors().runaway


def test_rules_switch_access_on(reading):
    detectors = reading("access:\n  rules:\n    - {team: a, tiers: balanced}")
    assert isinstance(detectors_of(detectors)[-1], Access)
    denied = reading("access: {default: deny}")
    assert isinstance(detectors_of(denied)[-1], Access)


def test_the_example_says_what_holds_without_it_and_shows_access():
    detectors, defaults = read_detectors(EXAMPLE), Detectors()
    for name in ("context_bloat", "anomaly"):
        assert getattr(detectors, name) == getattr(defaults, name)
    assert detectors.unattributed == UnattributedRule()
    assert detectors.runaway is not None
    assert detectors.runaway.model_copy(update={"ignore": ()}) == defaults.runaway
    assert len(detectors_of(detectors)) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runaway:\n  calls: many", "2: runaway.calls: is 'many'; expected a whole number"),
        ("runaway:\n  cost: 1e3", "2: runaway.cost: is '1e3'; write a plain decimal"),
        ("runaway:\n  within: 1 day", "2: runaway.within: is '1 day'; write a whole number of"),
        ("runaway:\n  within: 48h", "2: runaway.within: is '48h'; write something from 5m to 24h"),
        ("anomaly: {weeks: 2, min_weeks: 3}", "1: anomaly.min_weeks: is more than weeks, 2"),
        ("runway: off", "1: runway: is no key of the detectors file; did you mean runaway?"),
        ("tiers:\n  top: [gpt-5*]", "2: tiers.top[0]: 'gpt-5*' would match nothing"),
        ("tiers:\n  unknown: ['*']", "2: tiers.unknown: is what models in no tier have"),
        ("unattributed:\n  dimensions: [app]", "2: unattributed.dimensions[0]: is 'app'; expected"),
        ("unattributed:\n  dimensions: [user, user]", "2: unattributed.dimensions[1]: user is"),
        ("unattributed: {dimensions: []}", "1: unattributed.dimensions: is empty; name at least"),
        ("access: {default: maybe}", "1: access.default: is 'maybe'; expected 'allow' or 'deny'"),
        (
            "access:\n  rules:\n    - team: a\n      tiers: [frontir]",
            "4: access.rules[0].tiers[0]: 'frontir' is no tier; did you mean frontier?",
        ),
        (
            "access:\n  rules:\n    - {role: chef, tiers: []}",
            "3: access.rules[0].role: 'chef' is no role; there are none",
        ),
        ("access:\n  rules:\n    - team: a", "3: access.rules[0].tiers: is missing"),
        (
            "access:\n  rules:\n    - {tiers: []}\n    - {team: a, tiers: []}",
            "4: access.rules[1]: is never asked: rules[0] is for everyone",
        ),
        (
            "access:\n  rules:\n    - {team: a, tiers: []}\n    - {team: a, tiers: [balanced]}",
            "4: access.rules[1]: is never asked: rules[0] is for the same calls",
        ),
        (
            "access:\n  rules:\n    - {name: x, team: a, tiers: []}\n"
            "    - {name: x, team: b, tiers: []}",
            "4: access.rules[1] (x): is called 'x' like rules[0]; name it anew",
        ),
        ("- runaway", "1: a mapping was expected"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(reading, text, said):
    with pytest.raises(UserError) as error:
        reading(text)
    assert f"detectors.yaml:{said}" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_page_shows_the_defaults():
    page = (EXAMPLE.parents[1] / "docs" / "detectors.md").read_text("utf-8")
    block = r"^```yaml\n((\w+):(?: *#[^\n]*)?\n.*?)^```"
    shown = dict(re.findall(block, page, re.DOTALL | re.MULTILINE))
    defaults = Detectors()
    read = {name: Detectors.model_validate(yaml_of(text)) for text, name in shown.items()}
    assert set(read) == {"runaway", "context_bloat", "anomaly", "unattributed", "tiers"}
    for name in set(read) - {"tiers", "unattributed"}:
        assert getattr(read[name], name) == getattr(defaults, name)
    assert read["unattributed"].unattributed == UnattributedRule()
    assert len(read["tiers"].access.rules) == 2


def yaml_of(text: str) -> dict[str, object]:
    return YamlFile(text.encode(), "page", shape="a mapping").document
