"""`spendstream doctor`: is everything there, and is anything not as it should be?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import click
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from rich.console import Console

from schemas.errors import UserError
from schemas.topics import DEAD_LETTERS, TOPICS
from sinks.clickhouse import ClickHouse, ClickHouseError
from sinks.migrate import migrations
from streams.cli.options import connection_options
from streams.kafka import consumer, end_offsets
from streams.kafka_access import no_connection
from streams.settings import Settings
from streams.stack.backlog import backlog, guard_state
from streams.stack.ports import LOOPBACK
from streams.stack.run_file import running_stack, settings_for
from streams.stores import clickhouse_reader as connect

Level = Literal["ok", "notice", "bad"]
_MARKS: dict[Level, str] = {
    "ok": "[green]ok  [/]",
    "notice": "[yellow]look[/]",
    "bad": "[red]BAD [/]",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    said: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
@connection_options
def doctor(as_json: bool, folder: Path, kafka: str | None, clickhouse: str | None) -> None:
    """Look at broker, ClickHouse, stages and data; say what is wrong. Example:

        spendstream doctor

    Exit code 1 where something is bad. Secrets are never shown.
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    findings = [
        *_clickhouse_findings(settings),
        *asyncio.run(_stage_findings(settings)),
        *asyncio.run(_health_findings(running_stack(folder).get("health"))),
    ]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        console = Console(highlight=False)
        for finding in findings:
            console.print(
                f"{_MARKS[finding.level]} {finding.what:<12} {finding.said}", soft_wrap=True
            )
    if any(finding.level == "bad" for finding in findings):
        raise click.exceptions.Exit(1)


def _clickhouse_findings(settings: Settings) -> Iterator[Finding]:
    connection = connect(settings)
    try:
        ((version,),) = connection.query("SELECT version()")
        yield Finding("ok", "clickhouse", f"{settings.clickhouse}, version {version}")
        yield _migrations(connection)
        yield from _data(connection)
    except ClickHouseError as error:
        yield Finding("bad", "clickhouse", str(error))
    finally:
        connection.close()


def _migrations(connection: ClickHouse) -> Finding:
    rows = connection.query("SELECT name FROM migrations FINAL")
    missing = [m.name for m in migrations() if (m.name,) not in rows]
    if missing:
        return Finding("bad", "tables", f"run spendstream migrate: {', '.join(missing)} missing")
    return Finding("ok", "tables", "up to date")


def _data(connection: ClickHouse) -> Iterator[Finding]:
    unpriced = connection.query(
        "SELECT provider, model, sum(calls) AS n FROM spend WHERE rating = 'unpriced' "
        "GROUP BY provider, model ORDER BY n DESC LIMIT 10"
    )
    for provider, model, calls in unpriced:
        yield Finding(
            "notice",
            "unpriced",
            f"{provider}/{model}: {calls:,} calls have no price; give one by --prices",
        )
    if not unpriced:
        yield Finding("ok", "prices", "every call has one")
    names = ("duplicates", "conflicts", "refused", "lost")
    totals = connection.query(f"SELECT {', '.join(f'sum({name})' for name in names)} FROM metering")
    for name, count in zip(names, totals[0], strict=True):
        if count:
            level: Level = "bad" if name == "lost" else "notice"
            yield Finding(level, name, f"{count:,} events ({_MEANING[name]})")
    stuck = connection.query(
        "SELECT channel, state, count(), any(error) FROM deliveries FINAL "
        "WHERE state = 'rejected' OR (state = 'pending' AND due < now64(3) - INTERVAL 1 MINUTE) "
        "GROUP BY channel, state"
    )
    for channel, state, count, error in stuck:
        yield Finding(
            "bad" if state == "rejected" else "notice",
            "alerts",
            (f"{count} {state} for {channel} {error}"),
        )


_MEANING = {
    "duplicates": "known event_id: dropped",
    "conflicts": "known event_id with another payload: the first one counts",
    "refused": "dead letters; `spendstream dlq list` shows those that are open, and why",
    "lost": "removed by the topic's retention before they were metered",
}


async def _stage_findings(settings: Settings) -> list[Finding]:
    try:
        found = [await _topics(settings)]
        left = await backlog(settings)
    except KafkaConnectionError:
        return [Finding("bad", "broker", str(await no_connection(settings)))]
    except (KafkaError, UserError) as error:
        return [Finding("bad", "broker", str(error))]
    except ClickHouseError:
        return found
    for what, count, behind in (
        ("meter", left.unmetered, "events not in the ledger yet"),
        ("archive", left.unarchived, "events not in the archive yet"),
        ("outcomes", left.unlanded_outcomes, "outcomes not in ClickHouse yet"),
    ):
        found.append(Finding("notice" if count else "ok", what, f"{count:,} {behind}"))
    found.append(_guard(settings, await guard_state(settings)))
    return found


async def _topics(settings: Settings) -> Finding:
    reader = consumer(settings)
    try:
        await reader.start()
        existing = await reader.topics()
        missing = [topic.name for topic in TOPICS if topic.name not in existing]
        letters = TopicPartition(DEAD_LETTERS, 0)
        reader.assign([letters])
        dead = 0 if missing else (await end_offsets(reader, [letters]))[letters]
    finally:
        await reader.stop()
    if missing:
        return Finding("bad", "topics", f"run spendstream migrate: {', '.join(missing)} missing")
    return Finding("ok", "broker", f"{settings.kafka}, {dead:,} dead letters")


def _guard(settings: Settings, state: dict[str, Any] | None) -> Finding:
    where = f"http://{settings.web_host}:{settings.web_port}"
    if state is None:
        return Finding("bad", "guard", f"does not answer at {where}")
    differing = sum(drift["differing"] for drift in state["drift"].values())
    if differing:
        return Finding("bad", "guard", f"{differing} counters differ from the ledger")
    return Finding("ok", "guard", f"{where}, drift 0, at entry {state['position']}")


async def _health_findings(ports: object) -> list[Finding]:
    """``ports``: stage to port, of the stack that runs from the folder; None where none does."""
    if not isinstance(ports, Mapping):
        return []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
        return list(
            await asyncio.gather(*(_health(session, name, port) for name, port in ports.items()))
        )


async def _health(session: aiohttp.ClientSession, stage: str, port: int) -> Finding:
    where = f"http://{LOOPBACK}:{port}"
    try:
        async with session.get(f"{where}/readyz") as answer:
            said: dict[str, Any] = await answer.json()
    except (aiohttp.ClientError, TimeoutError):
        return Finding("bad", "health", f"{stage}: does not answer at {where}")
    if said["ready"]:
        return Finding("ok", "health", f"{stage}: {said['doing']}, {where}")
    late = said["stuck"] or said["stalled"]
    if not late:
        return Finding("notice", "health", f"{stage}: not ready, {said['doing']}")
    level: Level = "bad" if said["stuck"] else "notice"
    works = ", ".join(
        f"{work['doing'] or work['work']} for {work['began_seconds_ago']:.0f} s" for work in late
    )
    return Finding(level, "health", f"{stage}: {'stuck' if said['stuck'] else 'held up'}: {works}")
