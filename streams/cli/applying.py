"""What commands share that change the ledger: they ask first, and append to the journal."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import click
from aiokafka import AIOKafkaProducer
from rich.console import Console

from schemas.topics import JOURNAL
from sinks.clickhouse import ClickHouse
from streams.cli.options import whoami
from streams.cli.reconcile import wait_for_entry
from streams.kafka import cluster_id, producer
from streams.settings import Settings

_DONE = {"apply": ("applied", "applies"), "close": ("closed", "closes")}


def confirmed(console: Console, what: str = "apply") -> bool:
    """Ask a person. Where nobody can answer the answer is no, with how to say yes."""
    if not sys.stdin.isatty():
        done, does = _DONE[what]
        console.print(f"not {done}: --yes {does} it")
        return False
    return click.confirm(f"{what.capitalize()} it?")


def signature(why: str) -> str:
    """Who and why, for the reader of the ledger."""
    return f"{whoami()}: {why}" if why else whoami()


@dataclass(frozen=True, slots=True)
class JournalWriter:
    """``journal``: `<cluster id>/<topic>`. ``wait`` waits until the ledger has an entry of it."""

    journal: str
    producer: AIOKafkaProducer
    wait: Callable[[int], None]


@asynccontextmanager
async def journal_writer(
    settings: Settings, connection: ClickHouse
) -> AsyncIterator[JournalWriter]:
    """A producer for the journal, until the block ends. Raises KafkaError."""
    journal = f"{await cluster_id(settings)}/{JOURNAL}"
    sender = producer(settings)
    await sender.start()
    try:
        yield JournalWriter(
            journal, sender, lambda position: wait_for_entry(connection, journal, position)
        )
    finally:
        await sender.stop()
