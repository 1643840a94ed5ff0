"""docs/routing-report.md against the models and the commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reports.routing.estimate import METHOD
from schemas import outcome
from schemas.errors import InvalidEvent
from schemas.outcome import OutcomeEvent, checked_outcome
from streams.budgets.book import BudgetBook
from streams.yaml_file import YamlFile

REPOSITORY = Path(__file__).parents[4]
PAGE = (REPOSITORY / "docs" / "routing-report.md").read_text("utf-8")


def test_every_field_and_code_is_explained():
    named = set(re.findall(r"`(\w+)`", PAGE))
    codes = re.findall(r'"([a-z_]+)", *\n? *f?["\']', Path(outcome.__file__).read_text("utf-8"))
    assert {"bad_value", "no_subject", "time_in_future"} <= set(codes)
    assert {*OutcomeEvent.model_fields, *codes} - named - {
        "empty_value",
        "undecodable_json",
    } == set()


def test_the_posted_outcomes_are_what_the_answer_says():
    (posted,) = re.findall(r"-d '(\[.*?\])'", PAGE, re.DOTALL)
    (answered,) = re.findall(r'^\{"accepted".*$', PAGE, re.MULTILINE)
    good, bad = json.loads(posted)
    assert checked_outcome(good).outcome_id == json.loads(answered)["results"][0]["id"]
    with pytest.raises(InvalidEvent) as refused:
        checked_outcome(bad)
    assert refused.value.refusal.detail == json.loads(answered)["results"][1]["error"]


def test_the_shadow_setting_is_one(tmp_path):
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "budgets.yaml"
    file.write_text(f"budgets: []\n{shown}")
    book = YamlFile.read(file, shape="holds nothing").validated(BudgetBook)
    assert (book.shadow, BudgetBook().shadow) == ("ignore", "count")


def test_the_shown_report_states_the_method_of_today():
    assert METHOD in PAGE
