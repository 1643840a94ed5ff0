"""Stages and commands as processes, on a Kafka and a ClickHouse that demand TLS and passwords.

Everything is set by the environment, and no password is in anything that any of them says.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import spendstream

from sinks.clickhouse import ClickHouse
from streams.settings import PREFIX
from streams.stack.ports import Ports
from tests.support.clickhouse_endpoint import clickhouse_endpoint
from tests.support.events import call, write_events
from tests.support.kafka_security import DemandingKafka
from tests.support.running_stack import RunningStack, clean_environment, command_line, descendants
from tests.support.tls import tls_in_front_of
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SECRET = "hunter2"  # a part of every password and address that must not be said
STAGES = (("meter",), ("sink", "ledger"), ("sink", "archive"), ("guard",))
COMMANDS = (
    ("doctor",),
    ("doctor", "--json"),
    ("migrate",),
    ("sql", "SELECT 1"),
    ("reconcile",),
    ("dlq", "list"),
)
WRITER, READER = ("writer", "writers-hunter2"), ("reader", "readers-hunter2")
EVENTS = 20
PATIENCE = 180.0  # seconds for a dozen processes that start at once, on a machine that is busy
SECRETS = {
    "SPENDSTREAM_SLACK_WEBHOOK": "https://127.0.0.1:1/hunter2-slack",
    "SPENDSTREAM_WEBHOOK": "https://127.0.0.1:1/hunter2-webhook",
    "SPENDSTREAM_WEBHOOK_SECRET": "hunter2-signing",
    "SPENDSTREAM_LOG_LEVEL": "DEBUG",
}


@pytest.fixture(scope="module")
def clickhouse(
    demanding: DemandingKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a ClickHouse behind TLS, with a writer and a reader."""
    data = tmp_path_factory.mktemp("secured") / "clickhouse"
    with (
        clickhouse_endpoint(data, ((*WRITER, False), (*READER, True))) as plain,
        tls_in_front_of(plain, demanding.authority.serving()) as secure,
    ):
        yield secure


@pytest.fixture
def environment(demanding: DemandingKafka, clickhouse: str) -> dict[str, str]:
    """Everything that is right, and every secret that there is."""
    access = {
        **demanding.access("CLIENTS", "SCRAM-SHA-512"),
        "clickhouse": clickhouse,
        "clickhouse_ca": demanding.authority.ca,
        "clickhouse_user": WRITER[0],
        "clickhouse_password": WRITER[1],
        "clickhouse_reader": READER[0],
        "clickhouse_reader_password": READER[1],
        "web_port": Ports.free().web,
    }
    return {f"{PREFIX}{name}".upper(): str(value) for name, value in access.items()} | SECRETS


class Commands:
    """Commands of spendstream that run beside each other, each with what it said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, environment: Mapping[str, str], *arguments: str) -> int:
        """Start one; the number by which the others ask."""
        number = len(self._running)
        with self._log(number).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(**environment),
            )
        self._running.append(process)
        return number

    def ended(self, number: int) -> tuple[int, str]:
        """Wait for its end; its exit code, and what it said."""
        return self._running[number].wait(PATIENCE), self.said(number)

    def said(self, number: int) -> str:
        return self._log(number).read_text("utf-8", "replace")

    def all_said(self) -> str:
        return "\n".join(self.said(number) for number in range(len(self._running)))

    def stop(self, *numbers: int) -> list[int]:
        """SIGTERM; the exit codes."""
        for number in numbers:
            self._running[number].send_signal(signal.SIGTERM)
        return [self._running[number].wait(PATIENCE) for number in numbers]

    def kill(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def _log(self, number: int) -> Path:
        return self._folder / f"command-{number}.log"


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """However the test ends: none is left, and none has told a secret."""
    running = Commands(tmp_path)
    try:
        yield running
    finally:
        running.kill()
    assert [line for line in running.all_said().splitlines() if SECRET in line] == []


def test_all_stages_run_on_tls_and_scram_from_a_producer_to_a_reader(
    commands: Commands,
    environment: dict[str, str],
    demanding: DemandingKafka,
    clickhouse: str,
    monkeypatch: pytest.MonkeyPatch,
):
    migrated = commands.ended(commands.start(environment, "migrate"))
    assert migrated[0] == 0, migrated
    stages = [commands.start(environment, *stage) for stage in STAGES]

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with spendstream.Emitter(f"kafka://{environment['SPENDSTREAM_KAFKA']}") as emitter:
        for _ in range(EVENTS):
            emitter.emit(provider="openai", model="gpt-4o-mini", team="search", input_tokens=1)
    assert emitter.stats.delivered == EVENTS

    reader = ClickHouse(clickhouse, user=READER[0], password=READER[1], ca=demanding.authority.ca)
    try:
        for table, count in (("spend", "sum(calls)"), ("usage_events", "count()")):
            wait_until(
                f"{table}: {commands.all_said()[-2000:]}",
                lambda: reader.query(f"SELECT {count} FROM {table}") == [(EVENTS,)],  # noqa: B023
                PATIENCE,
            )
    finally:
        reader.close()
    web = f"http://127.0.0.1:{environment['SPENDSTREAM_WEB_PORT']}"
    wait_until("the guard follows", lambda: answers(f"{web}/readyz"), PATIENCE)

    asked = commands.start(environment, "doctor", "--json")
    compared = commands.start(environment, "reconcile")
    code, found = commands.ended(asked)
    assert (code, [f["said"] for f in json.loads(found) if f["level"] == "bad"]) == (0, [])
    assert commands.ended(compared)[0] == 0
    assert commands.stop(*stages) == [0] * len(stages), commands.all_said()


def test_a_stage_that_is_refused_ends_with_one_line(
    commands: Commands, environment: dict[str, str], demanding: DemandingKafka
):
    # PLAIN: what the library would log at DEBUG has the password in it.
    wrong = {
        "SPENDSTREAM_KAFKA_PASSWORD": "wrong-hunter2",
        "SPENDSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
    }
    other = str(demanding.authority.other_ca)
    plaintext = {name: "" for name in environment if name.startswith("SPENDSTREAM_KAFKA_")}
    plaintext["SPENDSTREAM_KAFKA_SECURITY"] = "PLAINTEXT"
    mistakes: Sequence[tuple[tuple[str, ...], dict[str, str], str]] = (
        (("meter",), wrong, "SPENDSTREAM_KAFKA_PASSWORD: "),
        (("guard",), wrong, "SPENDSTREAM_KAFKA_PASSWORD: "),
        (("migrate",), wrong, "SPENDSTREAM_KAFKA_PASSWORD: "),
        (("sink", "archive"), {"SPENDSTREAM_KAFKA_CA": other}, "SPENDSTREAM_KAFKA_CA: "),
        (("sink", "ledger"), plaintext, "SPENDSTREAM_KAFKA_SECURITY: "),
        (("meter",), {"SPENDSTREAM_CLICKHOUSE_CA": other}, "SPENDSTREAM_CLICKHOUSE_CA: "),
        (
            ("sink", "ledger"),
            {"SPENDSTREAM_CLICKHOUSE_PASSWORD": "wrong-hunter2"},
            "SPENDSTREAM_CLICKHOUSE_PASSWORD: ",
        ),
    )
    started = [commands.start(environment | change, *words) for words, change, _ in mistakes]
    asked = commands.start(environment | wrong, "doctor", "--json")
    for number, (words, _, begins) in zip(started, mistakes, strict=True):
        code, said = commands.ended(number)
        assert code == 2, f"{words}: {said}"
        assert said.splitlines()[-1].startswith(f"spendstream: {begins}"), said
        assert "Traceback" not in said
    code, found = commands.ended(asked)
    bad = [finding["said"] for finding in json.loads(found) if finding["what"] == "broker"]
    assert (code, len(bad)) == (1, 1)
    assert bad[0].startswith("SPENDSTREAM_KAFKA_PASSWORD: ")


def test_no_secret_is_said_where_everything_is_away(
    commands: Commands, environment: dict[str, str], tmp_path: Path
):
    ports = Ports.free()
    away = {
        "SPENDSTREAM_KAFKA": f"127.0.0.1:{ports.broker}",
        "SPENDSTREAM_CLICKHOUSE": f"https://127.0.0.1:{ports.clickhouse}",
    }
    events = write_events(tmp_path / "events.jsonl", [call("one", "search", 1)])
    stages = [commands.start(environment | away, *stage) for stage in STAGES]
    others = [
        commands.start(environment | away, *words, "--folder", str(tmp_path / "none"))
        for words in (*COMMANDS, ("replay", str(events), "--format", "jsonl"))
    ]
    ended = [commands.ended(number) for number in others]
    assert [said for code, said in ended if code != 1] == []
    for number in stages:
        wait_until(
            "it tries again",
            lambda: "reaching the broker failed, next try" in commands.said(number),  # noqa: B023
            PATIENCE,
        )
        assert f"no broker listens at 127.0.0.1:{ports.broker}" in commands.said(number)
    assert commands.stop(*stages) == [0] * len(stages)


def test_the_embedded_stack_leaves_alone_what_is_set_for_another_broker(
    environment: dict[str, str], tmp_path: Path
):
    stack = RunningStack(tmp_path / "spendstream", environment=environment)
    stack.start()
    try:
        assert stack._process is not None
        processes = [stack._process.pid, *descendants(stack._process.pid)]
        arguments = [word for pid in processes for word in command_line(pid)]
        assert len(processes) > len(STAGES)
        table = "CREATE TABLE own (n Int8) ENGINE = MergeTree ORDER BY n"
        writes = [stack.run("sql", table, *more) for more in ((), ("--write",))]
    finally:
        stack.stop()
    assert [done.returncode for done in writes] == [1, 0]
    assert "This user may only read" in writes[0].stderr
    files = [file for file in tmp_path.rglob("*") if file.suffix in (".json", ".log")]
    assert len(files) > len(STAGES)
    told = [file.name for file in files if SECRET in file.read_text("utf-8", "replace")]
    assert (told, [word for word in arguments if SECRET in word]) == ([], [])


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except (URLError, TimeoutError):
        return False
