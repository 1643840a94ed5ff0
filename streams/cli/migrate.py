"""`spendstream migrate`: make the tables and topics, or bring them up to date."""

from __future__ import annotations

from pathlib import Path

import click

from sinks.migrate import migrate as migrate_tables
from streams.cli.options import connection_options, run
from streams.kafka import ensure_topics
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect


@click.command()
@connection_options
def migrate(folder: Path, kafka: str | None, clickhouse: str | None) -> None:
    """Create the topics and tables that are missing. Safe to repeat. Example:

    spendstream migrate --kafka kafka:9092 --clickhouse http://clickhouse:8123
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    connection = connect(settings)
    try:
        applied = migrate_tables(connection, settings.clickhouse_cluster)
    finally:
        connection.close()
    topics = run(settings, ensure_topics(settings))
    click.echo(f"tables: {', '.join(applied) or 'up to date'}")
    click.echo(f"topics: {', '.join(topics) or 'up to date'}")
