"""docs/invoices.md names every format and every cause."""

from __future__ import annotations

import re
from pathlib import Path

from streams.invoices.attribution import BESIDE, CAUSES
from streams.invoices.known_formats import FORMATS
from streams.invoices.report import MEANING

PAGE = (Path(__file__).parents[3] / "docs" / "invoices.md").read_text("utf-8")


def test_every_format_has_a_line_with_its_zone():
    lines = dict(re.findall(r"^\| `([\w-]+)` \| .* \| (.+) \|$", PAGE, re.MULTILINE))
    zones = {"UTC": "UTC", "America/Los_Angeles": "US Pacific"}
    assert lines == {name: zones[form.zone] for name, form in FORMATS.items()}


def test_every_cause_is_explained_on_the_page_and_in_the_report():
    told = {
        cause.replace(" ", "_")
        for line in re.findall(r"^\| ([a-z ,]+) \| .+ \|$", PAGE, re.MULTILINE)
        for cause in line.split(", ")
    }
    assert set(CAUSES) <= told
    assert set(MEANING) == set(CAUSES)
    assert set(BESIDE.values()) <= set(CAUSES)
