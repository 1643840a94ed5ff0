"""Numbered, checksummed SQL migrations. Each runs once; one that was edited afterwards is an error.

A migration is a file of statements that can be repeated (IF NOT EXISTS): when one fails half way,
the next run starts it again from its first statement.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from string import Template

import pyarrow as pa

from schemas.errors import SpendstreamError
from sinks.clickhouse import ClickHouse, arrow_table


class MigrationError(SpendstreamError):
    """The database and the program's migrations do not fit together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of ``sinks/migrations``."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text as shipped, before the cluster is filled in."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self, cluster: str | None) -> list[str]:
        """The statements, for a single server or for every replica of a cluster."""
        text = Template(self.sql).substitute(
            ON_CLUSTER=f"ON CLUSTER '{cluster}'" if cluster else "",
            REPLICATED="Replicated" if cluster else "",
        )
        return [part.strip() for part in text.split(";\n") if part.strip().strip(";")]


def migrations() -> tuple[Migration, ...]:
    """All migrations, in order."""
    folder = files("sinks") / "migrations"
    found = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    return tuple(
        Migration(int(entry.name[:4]), entry.name, entry.read_text("utf-8")) for entry in found
    )


_APPLIED = pa.schema([("number", pa.int32()), ("name", pa.string()), ("checksum", pa.string())])


def migrate(clickhouse: ClickHouse, cluster: str | None = None) -> list[str]:
    """Bring the database up to date; the names of what was applied now. Raises MigrationError."""
    on_cluster = f"ON CLUSTER '{cluster}'" if cluster else ""
    replicated = "Replicated" if cluster else ""
    clickhouse.command(
        f"CREATE TABLE IF NOT EXISTS migrations {on_cluster} (number Int32, name String, "
        f"checksum String, applied_at DateTime DEFAULT now()) "
        f"ENGINE = {replicated}ReplacingMergeTree ORDER BY number"
    )
    rows = clickhouse.query("SELECT number, checksum FROM migrations FINAL")
    applied = {int(number): str(checksum) for number, checksum in rows}
    known = migrations()
    ahead = applied.keys() - {migration.number for migration in known}
    if ahead:
        raise MigrationError(
            f"the database has migration {max(ahead):04d}, which this program does not know: "
            "it was set up by a newer version; upgrade spendstream"
        )
    done = []
    for migration in known:
        if migration.number in applied:
            if applied[migration.number] != migration.checksum:
                raise MigrationError(
                    f"{migration.name} is not what was applied to this database; "
                    "a migration is never edited: restore it, and add a new one"
                )
            continue
        for statement in migration.statements(cluster):
            clickhouse.command(statement)
        row = {
            "number": migration.number,
            "name": migration.name,
            "checksum": migration.checksum,
        }
        clickhouse.insert("migrations", arrow_table(_APPLIED, [row]))
        done.append(migration.name)
    return done
