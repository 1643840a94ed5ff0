"""Options that several commands share, and reaching what they talk to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
from aiokafka.errors import KafkaError

from schemas.errors import SpendstreamError
from streams.settings import Settings

T = TypeVar("T")

FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".spendstream"),
    show_default=True,
    help="Folder of the embedded stack: data, logs, and where it can be reached.",
)


class Unreachable(SpendstreamError):
    """The broker is not where it should be."""


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--folder`, `--kafka`, `--clickhouse`: where a command finds what it talks to."""
    for option in (
        click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123."),
        click.option("--kafka", metavar="HOST:PORT", help="Kafka bootstrap servers."),
        FOLDER,
    ):
        command = option(command)
    return command


def run(settings: Settings, body: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; a broker that is not there is one line with its address."""
    try:
        return asyncio.run(body)
    except (KafkaError, ConnectionError) as error:
        raise Unreachable(
            f"no broker at {settings.kafka} ({type(error).__name__}); is `spendstream up` running?"
        ) from error
