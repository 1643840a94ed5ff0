"""docs/http.md against the code."""

from __future__ import annotations

import re
from pathlib import Path

from streams.web import openmeter
from streams.web.ingest import FORBIDDEN_TEAM
from streams.web.tokens import SCOPES, Defaults

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "http.md").read_text("utf-8")
CODE = re.compile(r'(?:RequestRefused\(\s*\d+,\s*|_unreadable\(|"code": )"([a-z_]+)"')


def test_every_code_of_a_request_is_explained():
    sources = "\n".join(
        path.read_text("utf-8") for path in sorted((REPOSITORY / "streams" / "web").glob("*.py"))
    )
    codes = set(CODE.findall(sources)) | {FORBIDDEN_TEAM, "not_found", "method_not_allowed"}
    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"`{code}`" not in PAGE] == []


def test_what_a_token_may_say_is_explained():
    words = [*SCOPES, *Defaults.model_fields]
    assert [word for word in words if f"`{word}`" not in PAGE] == []


def test_what_is_read_of_openmeters_events_is_explained():
    rows = PAGE.partition("\n## OpenMeter\n")[2]
    words = [*openmeter.BUCKET_OF_TYPE, *openmeter.SAME_NAMES, *openmeter.OPENAI_NAMES.values()]
    assert [word for word in words if f"`{word}`" not in rows] == []
    assert [name for name in openmeter.OPENAI_NAMES if f"`data.{name}`" not in rows] == []
