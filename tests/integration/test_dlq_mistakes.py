"""What `spendstream dlq` says to a mistake: one line, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.dead_letters import Letter
from sinks.clickhouse import ClickHouse
from sinks.dead_letters import DeadLetters
from sinks.migrate import migrate
from streams.cli.main import main

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, list[str], str]]

LETTER = Letter("cluster/llm.usage", 0, 7, None, None, (), None, "empty_value", "no value")


@pytest.fixture(scope="module")
def stored(endpoint: str) -> Iterator[str]:
    """Address of a ClickHouse with one letter, which has no value."""
    connection = ClickHouse(endpoint)
    migrate(connection)
    DeadLetters(connection).record([LETTER])
    yield endpoint
    connection.close()


@pytest.fixture
def dlq(stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run it in this process, without a broker: exit code, lines on stderr, and stdout."""

    def command(*arguments: str) -> tuple[int, list[str], str]:
        where = ("--clickhouse", stored, "--kafka", "127.0.0.1:1", "--folder", str(tmp_path))
        with pytest.raises(SystemExit) as end:
            main(["dlq", *arguments, *where])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.err.splitlines(), said.out

    return command


ID = LETTER.letter


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show"], "ID"),
        (["show", "nope"], "no dead letter 'nope'; spendstream dlq list --ids"),
        (["show", ID, "--raw"], "has no value"),
        (["show", ID, "nope", "--raw"], "--raw is for one letter"),
        (["list", "--status", "lost"], "'lost' is not one of"),
        (["replay"], "ids, or --reason CODE, or --all"),
        (["replay", ID, "--all"], "ids, or --reason CODE, or --all"),
        (["replay", "nope"], "no dead letter 'nope'"),
        (["replay", "--reason", "poison", "--yes"], "'poison'; there are: empty_value"),
        (["replay", "--all"], "Say --yes"),
        (["replay", ID, "--set", "team"], "write field=value"),
        (["replay", ID, "--set", "colour=blue"], "no such field"),
        (["replay", ID, "--value", "missing.json"], "missing.json: No such file"),
        (["replay", "--all", "--value", "missing.json"], "one letter"),
        (["drop", ID], "--note"),
        (["drop", ID, "--note", " "], "say why"),
        (["drop", "--all", "--note", "x"], "Say --yes"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(dlq, arguments, says):
    code, lines, said = dlq(*arguments)
    (line,) = lines
    assert (code, said) == (2, "")
    assert line.startswith("spendstream: ")
    assert says in line


def test_a_broker_that_is_away_is_one_line_and_nothing_is_noted(dlq, stored):
    code, lines, _ = dlq("replay", ID)
    (line,) = lines
    assert code == 1
    assert "127.0.0.1:1" in line
    connection = ClickHouse(stored)
    assert connection.query("SELECT count() FROM dead_letter_actions") == [(0,)]
    connection.close()


def test_letters_are_listed_and_shown_without_a_broker(dlq):
    assert dlq("list")[2].splitlines() == [
        "empty_value: 1 letter",
        f"  such as {ID}: no value",
    ]
    assert dlq("list", "--ids")[2].split() == [
        *(ID, "–", "0:7", "open", "empty_value:", "no", "value")
    ]
    assert dlq("list", "--status", "dropped") == (0, [], "none\n")
    assert dlq("list", "--status", "dropped", "--json") == (0, [], "")
    _, _, said = dlq("show", ID)
    assert "value     none" in said.splitlines()
