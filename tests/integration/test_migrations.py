"""Migrations: each once, none edited, none of a newer program."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sinks import migrate as module
from sinks.clickhouse import ClickHouseRefused
from sinks.migrate import Migration, MigrationError, migrate, migrations

pytestmark = pytest.mark.slow


def test_every_migration_is_applied_once(empty):
    names = [migration.name for migration in migrations()]
    assert migrate(empty) == names
    assert migrate(empty) == []
    rows = empty.query("SELECT number, name, checksum FROM migrations FINAL ORDER BY number")
    assert rows == [(m.number, m.name, m.checksum) for m in migrations()]


def test_migrations_are_numbered_without_a_gap():
    assert [m.number for m in migrations()] == list(range(1, len(migrations()) + 1))
    assert [int(m.name[:4]) for m in migrations()] == [m.number for m in migrations()]


def test_a_migration_that_was_edited_after_it_was_applied_is_an_error(clickhouse, monkeypatch):
    first, *others = migrations()
    edited = replace(first, sql=first.sql + "\n-- an afterthought\n")
    monkeypatch.setattr(module, "migrations", lambda: (edited, *others))
    with pytest.raises(MigrationError, match=rf"{first.name} is not what was applied.*restore it"):
        migrate(clickhouse)


def test_a_database_of_a_newer_program_is_an_error(clickhouse, monkeypatch):
    *known, newest = migrations()
    monkeypatch.setattr(module, "migrations", lambda: tuple(known))
    with pytest.raises(
        MigrationError, match=rf"migration {newest.number:04d}.*upgrade spendstream"
    ):
        migrate(clickhouse)


def test_a_migration_that_failed_half_way_is_completed_by_the_next_run(empty, monkeypatch):
    statements = "CREATE TABLE IF NOT EXISTS a (n Int8) ENGINE = Memory;\n{};\n"
    number = len(migrations()) + 1
    broken = Migration(number, f"{number:04d}_next.sql", statements.format("CREATE TABLE nonsense"))
    whole = replace(
        broken, sql=statements.format("CREATE TABLE IF NOT EXISTS b (n Int8) ENGINE = Memory")
    )
    shipped = migrations()
    monkeypatch.setattr(module, "migrations", lambda: (*shipped, broken))
    with pytest.raises(ClickHouseRefused, match="Incorrect CREATE"):
        migrate(empty)
    monkeypatch.setattr(module, "migrations", lambda: (*shipped, whole))
    assert migrate(empty) == [whole.name]
    assert empty.query("SELECT count() FROM a UNION ALL SELECT count() FROM b") == [(0,), (0,)]


def test_on_a_cluster_every_table_is_replicated_and_made_everywhere():
    for migration in migrations():
        for statement in migration.statements("main"):
            copies_rows = "INSERT INTO" in statement  # into replicated tables: once is enough
            assert copies_rows or "ON CLUSTER 'main'" in statement
            if "ENGINE =" in statement:
                assert "ENGINE = Replicated" in statement
            assert "$" not in statement


def test_on_a_single_server_nothing_speaks_of_a_cluster():
    for migration in migrations():
        for statement in migration.statements(None):
            assert "CLUSTER" not in statement
            assert "Replicated" not in statement
            assert "$" not in statement


def test_the_checksum_is_the_same_with_and_without_a_cluster(clickhouse):
    rows = clickhouse.query("SELECT checksum FROM migrations FINAL ORDER BY number")
    assert [checksum for (checksum,) in rows] == [m.checksum for m in migrations()]
