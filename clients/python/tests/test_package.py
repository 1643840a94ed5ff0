from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest
import spendstream
from spendstream._avro import SCHEMA
from spendstream._rules import FIELD_NAMES


def test_the_public_namespace_is_what_all_says():
    # Those of the core; wrappers and adapters add theirs.
    core = {"AsyncEmitter", "Emitter", "InvalidUsage", "Security", "Stats", "UsageFields"}
    assert core | {"attribution"} <= set(spendstream.__all__)
    assert spendstream.__all__ == sorted(spendstream.__all__)
    public = {
        name
        for name, value in vars(spendstream).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(spendstream.__all__)


def test_the_schemas_in_the_package_are_the_repositorys_byte_for_byte(repository: Path):
    theirs = sorted((repository / "schemas/avro").glob("usage_event.v*.avsc"))
    own = sorted((repository / "clients/python/spendstream").glob("usage_event.v*.avsc"))
    assert [file.name for file in own] == [file.name for file in theirs]
    assert [file.read_bytes() for file in own] == [file.read_bytes() for file in theirs]
    assert json.loads(own[-1].read_text("utf-8")) == SCHEMA


def test_the_typed_fields_are_those_of_the_schema():
    names = [field["name"] for field in SCHEMA["fields"]]
    assert list(get_type_hints(spendstream.UsageFields)) == names
    assert set(names) == FIELD_NAMES


@pytest.mark.slow
def test_importing_the_client_imports_nothing_of_the_server():
    script = (
        "import sys, spendstream; "
        "sys.exit(bool({'schemas', 'sinks', 'streams', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
