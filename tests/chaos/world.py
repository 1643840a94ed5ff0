"""Everything that runs: three brokers, ClickHouse behind its proxy, two of each stage, traffic."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sinks.clickhouse import ClickHouse, ClickHouseError
from sinks.migrate import migrate
from streams.kafka import ensure_topics
from streams.settings import Settings, load_settings
from streams.stack.backlog import guard_state
from streams.stack.supervisor import Command, Supervised
from streams.stores import clickhouse
from tests.chaos.dead_letters import DeadLetters
from tests.chaos.disk import SmallDisk
from tests.chaos.events import STEADY, SWING, TEAMS, EventSource
from tests.chaos.launcher import GROUP, NAMESPACE, STEPS
from tests.chaos.proxy import FaultProxy
from tests.chaos.traffic import Traffic
from tests.chaos.waiting import LOOPBACK, Stuck, free_ports, until
from tests.support.apache_kafka import KafkaCluster
from tests.support.receiver import SECRET, Receiver

if TYPE_CHECKING:
    from tests.chaos.landed import Watch

RATE = 200.0
"""Events a second: steady on two cores beside three brokers and a dozen processes."""
SESSION_MS = 3000
LINGER_MS = 500
FETCH_MS = 500
"""A broker answers at once when there is something; so only the idle ask less often."""
HORIZON = 5000
"""Events per partition. Far more than an event and its copy can be apart, one that a producer sent
again included; and so few that all of them are read at each start of a meter."""
STARTING_SECONDS = 60.0
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "meter-1": ("meter",),
    "meter-2": ("meter",),
    "meter-3": ("meter",),
    "ledger-1": ("sink", "ledger"),
    "ledger-2": ("sink", "ledger"),
    "archive-1": ("sink", "archive"),
    "archive-2": ("sink", "archive"),
    "guard-1": ("guard",),
    "guard-2": ("guard",),
}
SPARE = "meter-3"
STANDING = tuple(name for name in ARGUMENTS if name != SPARE)
THRESHOLDS = tuple(range(8, 1000, 8))
SECONDS_PER_PERCENT = 1
"""How long a team's traffic takes for one percent of its budget: alerts come all the time."""


class World:
    """The running system and what hurts it. `start` and `stop` it in the same event loop."""

    def __init__(self, folder: Path, seed: int, receiver: Receiver) -> None:
        self.folder = folder
        self.receiver = receiver
        self.cluster = KafkaCluster(folder / "kafka", 3)
        self.source = EventSource(seed)
        self.traffic = Traffic(self.cluster.bootstrap, self.source, RATE, seed)
        self.disk = SmallDisk(folder / "disk")
        self.steps = folder / "steps"
        self.stages: dict[str, Supervised] = {}
        engine, *ports = free_ports(1 + 2 * len(ARGUMENTS))
        self._engine_port = engine
        self.ports = dict(zip(ARGUMENTS, ports, strict=False))
        self.web = dict(zip(("guard-1", "guard-2"), ports[len(ARGUMENTS) :], strict=False))
        self.proxy = FaultProxy(f"http://{LOOPBACK}:{engine}")
        self._engine: Supervised | None = None
        self.watch: Watch
        self.round = ""
        self.first = 0
        """The round that is played, and how many events were acknowledged before it."""
        self.removal: tuple[int, int, int] | None = None
        """Partition and offsets, from and up to, that retention has removed unread."""
        self._tasks: list[asyncio.Task[None]] = []
        self._complaints: list[str] = []
        self._connection: ClickHouse | None = None

    @property
    def settings(self) -> Settings:
        """Settings of a bystander, who asks ClickHouse directly and whose web port is unused."""
        return load_settings(
            kafka=self.cluster.bootstrap,
            clickhouse=f"http://{LOOPBACK}:{self._engine_port}",
            usage_partitions=4,
            replication_factor=3,
            session_timeout_ms=SESSION_MS,
        )

    @property
    def clickhouse(self) -> ClickHouse:
        """A connection past the proxy. Blocking."""
        if self._connection is None:
            self._connection = clickhouse(self.settings)
        return self._connection

    async def start(self) -> None:
        """Start everything; returns when a guard is ready."""
        self.steps.mkdir(parents=True)
        self._write_budgets()
        self.disk.mount()
        await asyncio.gather(asyncio.to_thread(self.cluster.start), self._start_engine())
        await asyncio.to_thread(migrate, self.clickhouse)
        await ensure_topics(self.settings)
        await self.proxy.start(self.ports)
        await asyncio.gather(*(self.start_stage(name) for name in STANDING))
        await until("a guard is ready", self._ready, STARTING_SECONDS)
        self.traffic.start()

    async def stop(self) -> None:
        """End everything that was started, whatever state it is in."""
        await asyncio.to_thread(self.traffic.stop)
        for pid in [stage.pid for stage in self.stages.values()]:
            if pid is not None:
                os.kill(pid, signal.SIGCONT)
        await asyncio.gather(*(self.stop_stage(name) for name in list(self.stages)))
        await self.proxy.stop()
        if self._engine is not None:
            await self._engine.stop()
        await asyncio.to_thread(self.cluster.stop)
        await asyncio.to_thread(self.disk.unmount)

    async def start_stage(self, name: str, *, group: str | None = None) -> None:
        """Start a stage; from now on it is kept running. ``group``: of a meter that owns all."""
        environment = self._environment(name)
        if group is not None:
            environment[GROUP] = group
        argv = [sys.executable, "-m", "tests.chaos.launcher", *ARGUMENTS[name]]
        self.stages[name] = Supervised(Command(name, argv, environment), self.folder / "logs")
        await self.stages[name].start()

    async def stop_stage(self, name: str) -> None:
        """End a stage politely, and keep it down."""
        await self.stages.pop(name).stop()

    def of(self, kind: str) -> list[str]:
        """Stages of a kind that run now: `meter`, `ledger`, `archive` or `guard`."""
        return [n for n, stage in self.stages.items() if n.startswith(kind) and stage.pid]

    async def kill(self, name: str) -> float:
        """SIGKILL a stage or the engine; when (monotonic)."""
        stage = self._engine if name == "engine" else self.stages[name]
        assert stage is not None
        pid = await until(f"{name} runs", lambda: stage.pid)
        os.kill(pid, signal.SIGKILL)
        at = time.monotonic()
        await until(f"{name} is dead", lambda: stage.pid != pid)
        return at

    def send(self, name: str, signum: signal.Signals) -> None:
        """Send a signal to a running stage."""
        pid = self.stages[name].pid
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signum)

    async def killed_at(self, step: str, seconds: float = 40.0) -> float:
        """Arm a step, and wait until a stage has come to it and is dead; when (monotonic)."""
        armed = self.arm(step)
        await until(f"a stage comes to {step}", lambda: not armed.exists(), seconds)
        return time.monotonic()

    def arm(self, step: str) -> Path:
        """Arm a step: whoever comes to it first takes the file away and dies."""
        armed = self.steps / step
        armed.touch()
        return armed

    async def guard(self) -> dict[str, Any] | None:
        """What the guard that is active says of itself; None while none is."""
        states = await asyncio.gather(*(self._state_of(name) for name in self.web))
        ready = [state for state in states if state]
        return max(ready, key=lambda state: int(state["position"])) if ready else None

    async def active_guard(self) -> str:
        """The guard that is active now."""

        async def look() -> str | None:
            states = await asyncio.gather(*(self._state_of(name) for name in self.web))
            active = [name for name, state in zip(self.web, states, strict=True) if state]
            return active[0] if active else None

        return await until("a guard is active", look)

    async def _ready(self) -> bool:
        for stage in self.stages.values():
            if stage.gave_up:
                raise Stuck(f"{stage.command.name} ends again and again: {stage.last_words()}")
        return await self.guard() is not None

    async def _state_of(self, guard: str) -> dict[str, Any] | None:
        return await guard_state(self.settings.model_copy(update={"web_port": self.web[guard]}))

    def meanwhile(self, healing: Coroutine[Any, Any, None]) -> None:
        """Do something beside the recovery; it is over before the round is."""
        self._tasks.append(asyncio.create_task(healing))

    async def attended(self) -> list[str]:
        """Wait for what is done meanwhile; what went wrong in this round so far."""
        tasks, self._tasks = self._tasks, []
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        stuck = [str(outcome) for outcome in outcomes if isinstance(outcome, Stuck)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Stuck):
                raise outcome
        complaints, self._complaints = self._complaints, []
        return stuck + complaints

    async def check_nothing_skipped(self) -> None:
        """Every refused event that the ledger's ranges cover must be in the dead letters."""
        landed = await self.watch.landed()
        if landed is None:
            return
        letters = await DeadLetters(self.settings).places()
        skipped = [
            ack
            for ack in self.traffic.acked[self.first :]
            if ack.event.line is None
            and ack.offset < landed.ledger.get(ack.partition, 0)
            and (ack.partition, ack.offset) not in letters
        ]
        if skipped:
            self._complaints.append(f"{len(skipped)} refused events were covered, and not buried")

    async def fill_disk(self) -> None:
        """Leave the database no room to write."""
        if self.disk.keeper is not None:
            await asyncio.to_thread(self.disk.fill)
        else:
            await self._demand_free_bytes(1 << 60)

    async def relieve_disk(self) -> None:
        """Give the room back."""
        if self.disk.keeper is not None:
            await asyncio.to_thread(self.disk.relieve)
        else:
            await self._demand_free_bytes(0)

    async def _demand_free_bytes(self, count: int) -> None:
        for table in ("spend", "ledger_progress", "usage_events", "archive_progress"):
            await asyncio.to_thread(
                self.clickhouse.command,
                f"ALTER TABLE {table} MODIFY SETTING min_free_disk_bytes_to_perform_insert={count}",
            )

    def _write_budgets(self) -> None:
        per_second = self.source.mean_cost(datetime.now(UTC).date()) * int(RATE) / len(TEAMS)
        limit = per_second * (100 * SECONDS_PER_PERCENT)
        budgets = [
            {
                "name": team,
                "where": {"team": team},
                "limit": f"{limit.quantize(Decimal('0.01')):f}",
                "thresholds": list(THRESHOLDS),
                "burn_rate": "false",
            }
            for team in (*STEADY, SWING)
        ]
        # JSON is YAML.
        self.budgets.write_text(json.dumps({"timezone": "UTC", "budgets": budgets}))
        self.limit = limit.quantize(Decimal("0.01"))

    @property
    def budgets(self) -> Path:
        return self.folder / "budgets.yaml"

    async def _start_engine(self) -> None:
        environment = {"SPENDSTREAM_CLICKHOUSE": f"http://{LOOPBACK}:{self._engine_port}"}
        environment[STEPS] = str(self.steps)
        if self.disk.keeper is not None:
            environment[NAMESPACE] = str(self.disk.keeper)
        data = self.disk.folder / "clickhouse"
        argv = [sys.executable, "-m", "tests.chaos.launcher", "embedded-clickhouse", str(data)]
        self._engine = Supervised(Command("engine", argv, environment), self.folder / "logs")
        await self._engine.start()
        await until("ClickHouse answers", self.engine_answers, STARTING_SECONDS)

    async def engine_answers(self) -> bool:
        """True while the engine does, asked directly."""
        try:
            return await asyncio.to_thread(self.clickhouse.query, "SELECT 1") == [(1,)]
        except ClickHouseError:
            return False

    def _environment(self, name: str) -> dict[str, str]:
        return {
            STEPS: str(self.steps),
            "SPENDSTREAM_KAFKA": self.cluster.bootstrap,
            "SPENDSTREAM_CLICKHOUSE": f"http://{LOOPBACK}:{self.ports[name]}",
            "SPENDSTREAM_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "SPENDSTREAM_REPLICATION_FACTOR": "3",
            "SPENDSTREAM_BATCH_LINGER_MS": str(LINGER_MS),
            "SPENDSTREAM_FETCH_MAX_WAIT_MS": str(FETCH_MS),
            "SPENDSTREAM_DEDUPE_HORIZON": str(HORIZON),
            "SPENDSTREAM_DRIFT_CHECK_SECONDS": "15",
            "SPENDSTREAM_BUDGETS": str(self.budgets),
            "SPENDSTREAM_WEBHOOK": f"{self.receiver.address}/hook",
            "SPENDSTREAM_WEBHOOK_SECRET": SECRET,
            **({"SPENDSTREAM_WEB_PORT": str(self.web[name])} if name in self.web else {}),
        }
