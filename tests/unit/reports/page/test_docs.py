"""docs/page.md names every page, and every parameter of a URL."""

from __future__ import annotations

import re
from pathlib import Path

from reports.figures.lens import DIMENSIONS
from reports.page import PATHS

TEXT = (Path(__file__).parents[4] / "docs" / "page.md").read_text("utf-8")


def test_every_page_has_a_line():
    assert set(re.findall(r"^\| `(/\w*)` \|", TEXT, re.MULTILINE)) == set(PATHS)


def test_every_parameter_has_a_line():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", TEXT, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert named >= {*DIMENSIONS, "from", "to", "currency", "event"}
