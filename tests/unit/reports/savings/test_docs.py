"""docs/savings.md against the command and the kinds."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from reports.savings import Terms
from streams.cli.report_savings import savings_command
from tests.unit.reports.savings.test_total import found_of, group, saved

PAGE = (Path(__file__).parents[4] / "docs" / "savings.md").read_text("utf-8")


def test_every_kind_has_a_section_of_its_title():
    titles = [one.title for one in saved(found_of([group(Decimal(1))], {})).kinds]
    assert re.findall(r"^### (.+)$", PAGE, re.MULTILINE) == titles


def test_every_option_is_one_and_those_of_judgement_are_explained():
    known = {name for option in savings_command.params for name in option.opts}
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", PAGE))
    assert named <= known
    assert {"--answer-hours", "--prefix-minutes", "--tolerate", "--cheaper", "--team"} <= named


def test_the_page_says_the_terms_of_today():
    terms = Terms()
    assert f"{terms.least_prefix_tokens:,} tokens" in PAGE
    assert f"−{terms.tolerated_loss}" in PAGE
    assert f"at most {terms.answer_window.total_seconds() / 3600:.0f} hours ago" in PAGE
