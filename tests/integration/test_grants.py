"""`sinks/grants.sql`: each role can do its work, and the engine refuses it everything else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.journal import Counted
from sinks.clickhouse import ClickHouse, ClickHouseRefused
from sinks.ledger import Ledger
from sinks.migrate import migrate, migrations
from tests.support.clickhouse_endpoint import clickhouse_endpoint
from tests.support.ledger_rows import JOURNAL, NOON, covering, journal_row, journal_rows

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
GRANTS = (REPOSITORY / "sinks" / "grants.sql").read_text("utf-8")
DATABASE = "spendstream"
ROLES = ("owner", "writer", "reader")
FED = {"spend_daily", "spend_by_day", "spend_by_workflow", "prompts"}
"""What materialized views write, and nobody inserts."""
ENGINES_OWN = ("GRANT CREATE, DROP ON default.*", "GRANT TABLE ENGINE ON *")
"""What the embedded engine needs to open its default database, which holds nothing of ours."""


def grants(role: str) -> list[str]:
    """What the file grants a role, as the engine takes it."""
    return re.findall(rf"^(GRANT [^;]+) TO {DATABASE}_{role};$", GRANTS, re.MULTILINE)


def statements() -> list[str]:
    """The file without its comments."""
    text = re.sub(r"^--.*\n", "", GRANTS, flags=re.MULTILINE)
    return [part.strip() for part in text.split(";\n") if part.strip()]


def inserted_tables() -> set[str]:
    """Every table that the product inserts into by name, `migrate` left out."""
    return {
        node.args[0].value
        for folder in ("sinks", "streams")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path.name != "migrate.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "insert"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


@contextmanager
def as_role(data: Path, role: str) -> Iterator[ClickHouse]:
    with clickhouse_endpoint(data, grants=[*ENGINES_OWN, *grants(role)]) as address:
        connection = ClickHouse(address, database=DATABASE)
        try:
            yield connection
        finally:
            connection.close()


def refused(connection: ClickHouse, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(ClickHouseRefused, match="Not enough privileges") as caught:
            connection.command(statement)
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose tables the owner has made, with no more rights than the file gives it."""
    folder = tmp_path_factory.mktemp("granted") / "data"
    with clickhouse_endpoint(folder) as address:
        administrator = ClickHouse(address)
        administrator.command(f"CREATE DATABASE {DATABASE}")
        # The engine does not open a default database that was left empty.
        administrator.command("CREATE TABLE kept (n Int8) ENGINE = MergeTree ORDER BY n")
        for statement in statements():  # which the engine, having one user, cannot execute
            administrator.query("SELECT formatQuery({one:String})", {"one": statement})
        administrator.close()
    with as_role(folder, "owner") as owner:
        assert migrate(owner) == [migration.name for migration in migrations()]
        refused(
            owner,
            "DROP TABLE spend",
            "TRUNCATE TABLE spend",
            "ALTER TABLE spend DELETE WHERE calls = 0",
            "INSERT INTO spend (calls) VALUES (1)",
        )
    return folder


def test_every_table_that_is_written_is_granted_to_the_writer_and_no_other_is():
    granted = {
        match[1]
        for grant in grants("writer")
        if (match := re.fullmatch(rf"GRANT INSERT ON {DATABASE}\.(\w+)", grant))
    }
    assert granted == inserted_tables() | FED


def test_the_file_holds_three_roles_and_what_they_are_granted():
    roles = [f"CREATE ROLE IF NOT EXISTS {DATABASE}_{role}" for role in ROLES]
    granted = [f"{grant} TO {DATABASE}_{role}" for role in ROLES for grant in grants(role)]
    assert sorted(statements()) == sorted(roles + granted)


def test_the_writer_writes_what_stages_write_and_changes_nothing_else(data: Path):
    with as_role(data, "writer") as writer:
        ledger = Ledger(writer, JOURNAL)
        ranges = (covering(0, 0, events=1),)
        ledger.write(0, ranges, Counted(ranges, None, journal_rows(journal_row())), NOON)
        assert ledger.progress().position == 0
        assert writer.query("SELECT team, calls FROM spend_daily") == [("search", 1)]
        for table in inserted_tables():
            writer.command(f"INSERT INTO {table} SELECT * FROM {table} LIMIT 0")
        refused(
            writer,
            "INSERT INTO migrations (number) VALUES (9999)",
            "CREATE TABLE other (n Int8) ENGINE = MergeTree ORDER BY n",
            "DROP TABLE spend",
            "TRUNCATE TABLE spend",
            "ALTER TABLE spend DELETE WHERE calls = 1",
            "ALTER TABLE spend ADD COLUMN other Int8",
            "OPTIMIZE TABLE spend FINAL",
            "SELECT * FROM default.kept",
        )


def test_the_reader_reads_every_table_and_view_and_writes_nothing(data: Path):
    with as_role(data, "reader") as reader:
        names = reader.query(
            "SELECT name, parameterized_view_parameters FROM system.tables "
            "WHERE database = {name:String} AND name NOT LIKE '.%'",
            {"name": DATABASE},
        )
        assert {"spend", "usage", "alert_history", "migrations"} <= {name for name, _ in names}
        for name, parameters in names:
            given = [
                f"{one['name']} = {'today()' if one['type'] == 'Date' else '1'}"
                for one in parameters
            ]
            asked = f"{name}({', '.join(given)})" if given else name
            reader.query(f"SELECT * FROM {asked} LIMIT 1")
        refused(
            reader,
            "INSERT INTO spend (calls) VALUES (1)",
            "CREATE TABLE other (n Int8) ENGINE = MergeTree ORDER BY n",
            "TRUNCATE TABLE spend",
            "SELECT * FROM default.kept",
        )
