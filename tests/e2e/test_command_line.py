"""What the command line says to a mistake: one line, what and where and what would be right."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.cli.main import COMMANDS, HIDDEN, main
from streams.settings import PREFIX
from streams.stack.ports import Ports

pytestmark = [
    pytest.mark.slow,
    pytest.mark.only_on("embedded", "no broker takes part, so once is enough"),
]

Run = Callable[..., tuple[int, list[str], str]]

BUDGETS = "budgets: [{name: search, where: {team: search}, limit: 10}]\n"
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2026-03-02 09:00:00.0000000,10,5\n"
BEING_WRITTEN = {"demo", "doctor"}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # A command sets up logging for its process, which here is everybody's.
    monkeypatch.setattr(logging.root, "handlers", [*logging.root.handlers])
    monkeypatch.setattr(logging.root, "level", logging.root.level)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: its exit code, the lines on stderr, and stdout."""

    def command(*arguments: str) -> tuple[int, list[str], str]:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.err.splitlines(), said.out

    return command


@pytest.fixture
def closed_port() -> int:
    return Ports.free().broker


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def one_line(lines: list[str]) -> str:
    assert len(lines) == 1, lines
    assert lines[0].startswith("spendstream: ")
    return lines[0]


def a_file(name: str, text: str) -> str:
    path = Path(name)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--fast"], ["--fast", "spendstream up --help"]),
        (["up", "--broker-port", "http"], ["--broker-port", "http"]),
        (["up", "--broker-port", "9093", "--kafka", "k:1"], ["--broker-port", "--kafka"]),
        (["up", "--kafka", "kafka"], ["'kafka' is no broker", "host:port"]),
        (["fly"], ["fly", "--help"]),
        (["replay"], ["FILE", "spendstream replay --help"]),
        (["replay", "x.csv"], ["--format", "spendstream replay --help"]),
        (["replay", "x.csv", "--format", "csv"], ["csv", "azure-trace", "mooncake", "jsonl"]),
        (["replay", "missing.csv", "--format", "azure-trace"], ["missing.csv", "readable"]),
        (["sink", "nowhere"], ["nowhere", "ledger", "archive"]),
        (["sql"], ["STATEMENT"]),
        (["sql", "SELECT 1", "--json", "--csv"], ["--json", "--csv", "choose one"]),
        (["up", "--budgets", "missing.yaml"], ["missing.yaml", "No such file"]),
        (["up", "--prices", "missing.yaml"], ["missing.yaml", "No such file"]),
        (["prices", "show", "openai/gpt-4o", "--at", "today"], ["today", "%Y-%m-%d"]),
        (["prices", "show", "openai/gpt-nothing"], ["gpt-nothing"]),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(run, arguments, says):
    code, lines, _ = run(*arguments)
    line = one_line(lines)
    assert code == 2
    assert [part for part in says if part not in line] == [], line


@pytest.mark.parametrize("speed", ["-1", "nan", "inf"])
def test_a_speed_that_is_none_is_refused(run, speed):
    file = a_file("trace.csv", TRACE)
    code, lines, _ = run("replay", file, "--format", "azure-trace", "--speed", speed)
    assert code == 2
    assert "0 is as fast as possible" in one_line(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("budgets: [\n", ["budgets.yaml:2", "YAML"]),
        ("- a list\n", ["budgets.yaml:1", "under the key budgets"]),
        ("budgets: [{name: a, limit: lots}]\n", [":1: budgets[0] (a).limit"]),
        ("budgets: [{name: a, limit: -5}]\n", ["(a).limit", "-5"]),
        ("budgets: [{name: a}]\n", ["(a).limit", "is missing"]),
        ("budgets: [{name: a, limits: 5}]\n", ["(a).limits", "did you mean limit?"]),
        ("timezone: Hongkong/Asia\n", ["Hongkong/Asia", "Asia/Hong_Kong"]),
    ],
)
def test_a_bad_budgets_file_stops_up_and_guard_before_they_start(run, monkeypatch, text, says):
    file = a_file("budgets.yaml", text)
    code, lines, _ = run("up", "--budgets", file)
    line = one_line(lines)
    assert code == 2
    assert [part for part in ["budgets.yaml", *says] if part not in line] == [], line
    monkeypatch.setenv("SPENDSTREAM_BUDGETS", file)
    assert run("guard")[:2] == (2, [line])


def test_a_bad_prices_file_stops_up_meter_and_archive_before_they_start(run, monkeypatch):
    file = a_file("prices.yaml", "prices: [{provider: own, model: m}]\n")
    code, lines, _ = run("up", "--prices", file)
    assert code == 2
    assert "prices.yaml" in one_line(lines)
    monkeypatch.setenv("SPENDSTREAM_PRICES", file)
    assert run("meter")[:2] == (2, lines)
    assert run("sink", "archive")[:2] == (2, lines)


def test_a_bad_roster_is_refused_before_anything_is_sent(run):
    code, lines, _ = run(
        "replay",
        a_file("trace.csv", TRACE),
        *("--format", "azure-trace", "--roster", a_file("roster.yaml", "teams: []\n")),
    )
    assert code == 2
    assert "roster.yaml" in one_line(lines)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("KAFKA", "kafka", "host:port"),
        ("USAGE_PARTITIONS", "many", "integer"),
        ("BATCH_LINGER_MS", "1", "10"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING or ERROR"),
    ],
)
def test_a_bad_setting_is_named_with_its_variable(run, monkeypatch, name, value, says):
    monkeypatch.setenv(PREFIX + name, value)
    code, lines, _ = run("sql", "SELECT 1")
    line = one_line(lines)
    assert code == 2
    assert [part for part in (PREFIX + name, says, value) if part not in line] == [], line


@pytest.mark.parametrize("name", ["CLICKHOUSE", "WEBHOOK", "SCHEMA_REGISTRY"])
def test_a_bad_address_is_named_and_not_repeated_as_it_may_hold_a_secret(run, monkeypatch, name):
    monkeypatch.setenv(PREFIX + name, "hunter2.example:8123")
    code, lines, _ = run("sql", "SELECT 1")
    line = one_line(lines)
    assert code == 2
    assert PREFIX + name in line
    assert "http://host:port" in line
    assert "hunter2" not in line


def test_a_webhook_without_its_secret_is_refused(run, monkeypatch):
    monkeypatch.setenv("SPENDSTREAM_WEBHOOK", "http://127.0.0.1:1/hook")
    code, lines, _ = run("guard")
    assert code == 2
    assert "SPENDSTREAM_WEBHOOK_SECRET" in one_line(lines)


@pytest.mark.parametrize("part", ["broker", "clickhouse", "web"])
def test_a_port_in_use_is_named_with_its_address_and_flag(run, taken_port, part):
    free = Ports.free()
    ports = {"broker": free.broker, "clickhouse": free.clickhouse, "web": free.web}
    ports[part] = taken_port
    flags = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
    code, lines, _ = run("up", *flags)
    line = one_line(lines)
    assert code == 2
    assert f"127.0.0.1:{taken_port} ({part})" in line
    assert f"--{part}-port" in line


def test_no_clickhouse_is_one_line_with_its_address(run, closed_port):
    address = f"http://127.0.0.1:{closed_port}"
    for arguments in (["sql", "SELECT 1"], ["reconcile"], ["migrate"]):
        code, lines, _ = run(*arguments, "--clickhouse", address)
        assert code == 1
        assert address in one_line(lines)


def test_a_kafka_that_is_not_there_stops_up_before_it_starts(run, closed_port):
    address = f"127.0.0.1:{closed_port}"
    free = Ports.free()
    ports = [f"--{name}-port={getattr(free, name)}" for name in ("clickhouse", "web", "ingest")]
    code, lines, _ = run("up", "--kafka", address, *ports)
    assert code == 2
    assert f"--kafka {address}: no broker listens" in one_line(lines)


def test_no_broker_is_one_line_with_its_address(run, closed_port):
    address = f"127.0.0.1:{closed_port}"
    file = a_file("trace.csv", TRACE)
    code, lines, _ = run("replay", file, "--format", "azure-trace", "--kafka", address)
    assert code == 1
    assert address in one_line(lines)


def commands() -> list[list[str]]:
    names = [[name] for name in COMMANDS if name not in HIDDEN | BEING_WRITTEN | {"prices"}]
    letters = [["dlq", name] for name in ("list", "show", "replay", "drop")]
    return [*names, ["prices", "show"], *letters]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_shows_an_example_in_its_help(run, command):
    code, lines, out = run(*command, "--help")
    assert (code, lines) == (0, [])
    _, example, rest = out.partition("Example:")
    assert example
    assert f"spendstream {' '.join(command)}" in rest.partition("Options:")[0]


def test_the_help_lists_every_command_but_the_hidden_ones(run):
    code, _, out = run("--help")
    assert code == 0
    assert [name for name in COMMANDS if f"  {name} " not in out] == sorted(HIDDEN)


def test_prices_are_those_of_the_date_that_is_asked_for(run):
    code, lines, out = run("prices", "show", "openai/gpt-4o", "--at", "2024-12-01")
    assert (code, lines) == (0, [])
    assert "at 2024-12-01 00:00 UTC" in out
    for row in ("input", "output", "source", "checked"):
        assert row in out
    assert "2.5" in out
    assert "10" in out
