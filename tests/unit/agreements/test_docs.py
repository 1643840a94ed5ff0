"""docs/agreements.md and docs/vendors.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.agreements.book import Agreement, Commitment, Step, Volume
from streams.cli.agreements import agreements
from streams.cli.report_vendors import vendors
from streams.cli.whatif import whatif
from streams.whatif.changes import parse_change

DOCS = Path(__file__).parents[3] / "docs"
AGREEMENTS = (DOCS / "agreements.md").read_text("utf-8")
VENDORS = (DOCS / "vendors.md").read_text("utf-8")


@pytest.mark.parametrize("model", [Agreement, Volume, Step, Commitment])
def test_every_key_of_the_file_is_explained(model):
    words = set(re.findall(r"`(\w+)(?::[^`]*)?`", AGREEMENTS))
    assert set(model.model_fields) - words == set()


def test_every_command_is_shown():
    assert set(agreements.commands) == set(
        re.findall(r"^spendstream agreements (\w+)", AGREEMENTS, re.MULTILINE)
    )


@pytest.mark.parametrize("command", [vendors, whatif], ids=["vendors", "whatif"])
def test_every_option_is_explained(command):
    options = {name for one in command.params for name in one.opts}
    shared = {"--json", "--folder", "--clickhouse"}
    missing = {name for name in options - shared if name not in VENDORS}
    assert missing == set()


def test_every_change_in_the_table_is_one():
    (table,) = re.findall(r"\| a change \| means \|\n(.*?)\n\n", VENDORS, re.DOTALL)
    changes = re.findall(r"`([^`]+)`", table)
    assert len(changes) == 6
    for text in changes:
        parse_change("--price", text)
