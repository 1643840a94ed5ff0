"""Imports on a running stack, from files and from a real PostgreSQL: twice, and counted once."""

from __future__ import annotations

import csv
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streams.cli.main import main
from streams.imports.litellm import COLUMNS
from streams.stack.ports import free_ports
from tests.support.running_stack import RunningStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[1] / "data" / "imports"
FILES = {
    "litellm": "litellm.csv",
    "openai-usage": "openai_usage.json",
    "openai-costs": "openai_costs.json",
    "anthropic-usage": "anthropic_usage.jsonl",
    "langfuse": "langfuse.jsonl",
    "openmeter": "openmeter.json",
}
COUNTED = """
    SELECT count(), uniqExact(event_id),
           sum(arraySum([ifNull(input_tokens, 0), ifNull(cache_read_tokens, 0),
                         ifNull(cache_write_5m_tokens, 0), ifNull(cache_write_1h_tokens, 0),
                         ifNull(input_audio_tokens, 0), ifNull(cache_read_audio_tokens, 0),
                         ifNull(input_image_tokens, 0), ifNull(output_tokens, 0),
                         ifNull(reasoning_tokens, 0), ifNull(output_audio_tokens, 0)])),
           sum(toDecimal128(ifNull(provider_cost, '0'), 12))
    FROM usage
"""
HORIZON = 1000
ROWS = 3 * HORIZON
"""More than a partition's window of ids holds: only the archive can know them again."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("imports") / "stack"
    running = RunningStack(
        folder,
        environment={
            "SPENDSTREAM_DEDUPE_HORIZON": str(HORIZON),
            "SPENDSTREAM_USAGE_PARTITIONS": "1",
        },
    )
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spend logs that are beyond the horizon of the meter."""
    path = tmp_path_factory.mktemp("many") / "many.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in COLUMNS if name != "agent_id"])
        writer.writeheader()
        for number in range(ROWS):
            times = f"2026-11-03 {number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
            writer.writerow(
                {
                    **{"request_id": f"many-{number}", "call_type": "acompletion", "api_key": "k"},
                    **{"spend": "0.000000000001", "prompt_tokens": 3, "completion_tokens": 2},
                    **{"total_tokens": 5, "startTime": times, "endTime": f"{times}.250"},
                    **{"model": "gpt-4o-mini", "custom_llm_provider": "openai"},
                    **{"metadata": "{}", "request_tags": "[]", "team_id": "many"},
                }
            )
    return path


@pytest.fixture
def summary(
    stack: RunningStack, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """The command, in this process: what it tells of an import into the stack."""

    def run(*arguments: str) -> dict[str, Any]:
        options = ("--team", "rest", "--json", "--allow-rejects", "--folder", str(stack.folder))
        with pytest.raises(SystemExit) as ended:
            main(["import", *arguments, *options])
        told = capsys.readouterr()
        assert ended.value.code == 0, told
        return dict(json.loads(told.out))

    return run


def test_every_export_is_counted_once_however_often_it_is_imported(stack, many, summary):
    files = [(str(SAMPLES / name), source) for source, name in FILES.items()]
    files.append((str(many), "litellm"))
    first = [summary(file, "--from", source) for file, source in files]
    assert [told["known"] for told in first] == [0] * len(files)
    counted = stack.query(COUNTED)
    events, tokens = (sum(told[name] for told in first) for name in ("sent", "tokens"))
    cost = sum(Decimal(told["provider_cost_usd"] or 0) for told in first)
    assert counted == [(events, events, tokens, cost)]
    again = [summary(file, "--from", source) for file, source in files]
    assert [(told["sent"], told["known"]) for told in again] == [(0, t["sent"]) for t in first]
    assert stack.query(COUNTED) == counted
    assert stack.query("SELECT sum(duplicates), sum(conflicts), sum(refused) FROM metering") == [
        (0, 0, 0)
    ]
    done = stack.run("reconcile")
    assert done.returncode == 0, done.stdout


def test_costs_beside_usage_add_nothing_to_the_cost(stack):
    sql = "SELECT countIf(cost IS NOT NULL), sum(calls) FROM spend WHERE model = 'unknown'"
    assert stack.query(sql) == [(0, 3)]


# --- PostgreSQL, where it is installed -----------------------------------------------------------

PROGRAMS = [*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/bin"), Path("/usr/local/bin")]
TABLE = """
    CREATE TABLE "LiteLLM_SpendLogs" (
        request_id text PRIMARY KEY, call_type text NOT NULL, api_key text NOT NULL DEFAULT '',
        spend double precision NOT NULL DEFAULT 0, total_tokens integer NOT NULL DEFAULT 0,
        prompt_tokens integer NOT NULL DEFAULT 0, completion_tokens integer NOT NULL DEFAULT 0,
        "startTime" timestamp(3) NOT NULL, "endTime" timestamp(3) NOT NULL,
        "completionStartTime" timestamp(3), model text NOT NULL DEFAULT '', model_id text,
        model_group text, custom_llm_provider text, api_base text, "user" text,
        metadata jsonb DEFAULT '{}', cache_hit text, cache_key text,
        request_tags jsonb DEFAULT '[]', team_id text, organization_id text, end_user text,
        session_id text, status text, messages jsonb DEFAULT '{"secret": "prompt"}')
"""


def program(name: str) -> str:
    found = next((folder / name for folder in PROGRAMS if (folder / name).exists()), None)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return str(found)


@pytest.fixture(scope="module")
def database(many: Path) -> Iterator[str]:
    """Address of a database with the spend logs of both files."""
    initdb, postgres, psql = program("initdb"), program("postgres"), program("psql")
    folder, user = Path(tempfile.mkdtemp(prefix="postgres-")), None
    if os.getuid() == 0:  # PostgreSQL does not run as root
        user = _other_user()
        shutil.chown(folder, user)
    data, port = folder / "data", free_ports(1)[0]
    start: Sequence[str] = ("-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F")
    address = f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def tell(*arguments: str) -> int:
        return subprocess.run([psql, address, "-q", *arguments], check=False).returncode

    try:
        subprocess.run(
            [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
            **{"user": user, "cwd": folder, "check": True, "stdout": subprocess.DEVNULL},
        )
        with subprocess.Popen(
            [postgres, "-D", str(data), *start], user=user, cwd=folder, stderr=subprocess.DEVNULL
        ) as server:
            try:
                wait_until("PostgreSQL", lambda: tell("-c", "SELECT 1", "-o", os.devnull) == 0)
                assert tell("-c", TABLE) == 0
                for file in (many, SAMPLES / "litellm.csv"):
                    good = folder / file.name
                    lines = file.read_text().splitlines(keepends=True)
                    good.write_text("".join(line for line in lines if "many,20" not in line))
                    columns = ", ".join(f'"{name.strip()}"' for name in lines[0].split(","))
                    copy = f"\\copy \"LiteLLM_SpendLogs\" ({columns}) FROM '{good}' CSV HEADER"
                    assert tell("-c", copy) == 0
                yield address
            finally:
                server.terminate()
    finally:
        shutil.rmtree(folder)


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no other user")


def test_the_table_of_litellm_is_read_in_pages_to_the_last_digit(database, capsys):
    pytest.importorskip("asyncpg")
    address = f"{database}?schema=public&connection_limit=5"
    with pytest.raises(SystemExit) as ended:
        main(["import", address, "--from", "litellm", "--dry-run", "--json"])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["events"]) == (ROWS + 5, ROWS + 4)
    assert told["tokens"] == 5 * ROWS + 5470
    assert Decimal(told["provider_cost_usd"]) == Decimal("0.002498") + ROWS * Decimal("1e-12")
    assert told["rejected"]["no_team"]["count"] == 1


def test_what_came_from_the_file_is_known_from_the_table(database, summary):
    pytest.importorskip("asyncpg")
    told = summary(database, "--from", "litellm")
    # The one row that no file could be read of is not in the table either.
    assert (told["sent"], told["known"]) == (0, ROWS + 5)


def test_a_database_that_is_not_right_is_one_line(database, monkeypatch, capsys):
    pytest.importorskip("asyncpg")

    def said(address: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["import", address, "--from", "litellm", "--dry-run"])
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert "secret" not in told
        return told

    assert "has no table LiteLLM_SpendLogs" in said(f"{database}?schema=other")
    nobody = f"postgresql://u:secret@127.0.0.1:{free_ports(1)[0]}/db"
    assert "is the address of the database right?" in said(nobody)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    assert "needs asyncpg: pip install asyncpg" in said(database)
