"""Options that several commands share, and reaching what they talk to."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
from aiokafka.errors import KafkaConnectionError, KafkaError

from schemas.errors import SpendstreamError, UserError
from streams.kafka_access import no_connection
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
    """Run a coroutine; a broker that is not there, or refuses us, is one line with its address."""
    try:
        return asyncio.run(body)
    except KafkaConnectionError as error:
        why = asyncio.run(no_connection(settings))
        if isinstance(why, UserError):
            raise why from error
        raise Unreachable(f"{why}; is `spendstream up` running?") from error
    except KafkaError as error:
        raise Unreachable(f"the broker at {settings.kafka} did not do it: {error}") from error


def whoami() -> str:
    """`user@host`: who does it, where nobody is named."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
