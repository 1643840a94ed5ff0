"""The layout of the repository, and the direction of its imports."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CLIENT = "clients/python/spendstream"
PACKAGES = ("schemas", "sinks", "reports", "streams")
MOST_LINES = 300

FORBIDDEN = {
    "schemas": {"sinks", "streams", "reports", "spendstream"},
    "sinks": {"streams", "reports"},
    "reports": {"streams"},
    CLIENT: {"schemas", "sinks", "streams", "reports"},
}
DOES_IO = {
    "socket",
    "aiohttp",
    "aiokafka",
    "urllib",
    "requests",
    "clickhouse_connect",
    "asyncio",
    "subprocess",
}


def modules(folder: str) -> list[Path]:
    found = sorted((REPOSITORY / folder).rglob("*.py"))
    assert found, f"{folder} holds no module"
    return found


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Line and top-level name of every import, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def imports_of(folder: str, forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(REPOSITORY)}:{line} imports {name}"
        for path in modules(folder)
        for line, name in imported(path.read_text("utf-8"))
        if name in forbidden
    ]


def test_imports_are_found_wherever_they_stand():
    source = "import a.b, c\ndef f():\n    from d.e import g\nfrom . import h\n"
    assert list(imported(source)) == [(1, "a"), (1, "c"), (3, "d")]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder):
    assert imports_of(folder, FORBIDDEN[folder]) == []


def test_the_contracts_do_no_io():
    assert imports_of("schemas", DOES_IO) == []


@pytest.mark.parametrize(
    "name",
    [
        "streams/",
        "schemas/",
        "sinks/",
        "reports/",
        "tests/",
        "docker-compose.yml",
        "pyproject.toml",
        "README.md",
        "Makefile",
    ],
)
def test_the_top_level_has(name):
    path = REPOSITORY / name
    assert path.is_dir() if name.endswith("/") else path.is_file()


def test_no_module_is_longer_than_a_reader_can_hold():
    too_long = [
        f"{path.relative_to(REPOSITORY)}: {lines}"
        for folder in (*PACKAGES, CLIENT)
        for path in modules(folder)
        if (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    ]
    assert too_long == []


def runtime_dependencies() -> set[str]:
    """Distribution names in the two pyproject files, normalised (PEP 503)."""
    names = set()
    for file in ("pyproject.toml", "clients/python/pyproject.toml"):
        project = tomllib.loads((REPOSITORY / file).read_text("utf-8"))["project"]
        optional = project.get("optional-dependencies", {}).values()
        for requirement in [*project["dependencies"], *(r for extra in optional for r in extra)]:
            name = re.match(r"[\w.-]+", requirement)
            assert name, requirement
            names.add(normalised(name[0]))
    return names


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_runtime_dependency_has_a_line_in_the_documentation():
    text = (REPOSITORY / "docs" / "dependencies.md").read_text("utf-8")
    listed = {
        normalised(name)
        for line in text.splitlines()
        if line.lstrip().startswith(("|", "-", "*"))
        for name in re.findall(r"[A-Za-z0-9][\w.-]*", line)
    }
    assert sorted(runtime_dependencies() - listed) == []


def test_every_runtime_dependency_is_locked():
    text = (REPOSITORY / "requirements.lock").read_text("utf-8")
    locked = {normalised(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    assert sorted(runtime_dependencies() - locked) == []


def test_the_lock_leaves_the_choice_of_index_to_the_reader():
    text = (REPOSITORY / "requirements.lock").read_text("utf-8")
    address = re.compile(r"--(extra-)?index-url|--find-links|https?://")
    assert [line for line in text.splitlines() if address.search(line)] == []
