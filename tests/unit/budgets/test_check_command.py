"""`spendstream budgets check`: what a person sees, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.cli.main import main

EXAMPLES = Path(__file__).parents[3] / "examples"
FINE = "budgets: [{name: all, limit: 100, period: {rolling: 90m}}]\n"
SUSPICIOUS = """\
budgets:
  - name: all
    limit: 100
    thresholds: [50]
  - name: search
    where: {team: search}
    limit: 200
"""

Check = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def check(capsys, monkeypatch, tmp_path) -> Check:
    """Check a file with this text: exit code, lines on stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *options: str) -> tuple[int, list[str], str]:
        Path("budgets.yaml").write_text(text)
        with pytest.raises(SystemExit) as end:
            main(["budgets", "check", "budgets.yaml", *options])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out.splitlines(), said.err

    return run


def test_a_file_that_is_right_is_told_in_words(check):
    assert check(FINE) == (
        0,
        [
            "all: USD 100.00 in any 90 minutes for the organisation; thresholds 50, 80, 100 %; "
            "moving in steps of 1 minute"
        ],
        "",
    )


def test_warnings_follow_in_the_order_of_the_file_with_exit_code_1(check):
    code, lines, error = check(SUSPICIOUS)
    assert (code, error) == (1, "")
    assert [line.partition(":")[0] for line in lines] == ["all", "search", "warning", "warning"]
    assert lines[2:] == [
        "warning: budgets.yaml:4: budgets[0] (all).thresholds: nobody is told when the budget is "
        "used up: 50 is the highest; add 100",
        "warning: budgets.yaml:7: budgets[1] (search).limit: is never reached: 'all', of which "
        "this is a part, has USD 100.00",
    ]


def test_a_mistake_is_one_line_with_exit_code_2(check):
    assert check("budgets: [{name: all, limit: none}]") == (
        2,
        [],
        "spendstream: budgets.yaml:1: budgets[0] (all).limit: is 'none'; write a plain decimal "
        "number above 0, such as 1500.00\n",
    )


def test_json_has_the_budgets_and_the_warnings(check):
    code, (line,), _ = check(FINE, "--json")
    (budget,) = json.loads(line)["budgets"]
    assert (code, json.loads(line)["warnings"]) == (0, [])
    assert (budget["name"], budget["limit"], budget["unit"]) == ("all", "100", "USD")
    assert budget["period"] == {"rolling": "90m"}
    assert budget["text"].startswith("all: USD 100.00 in any 90 minutes")
    code, (line,), _ = check(SUSPICIOUS, "--json")
    assert code == 1
    assert [warning["line"] for warning in json.loads(line)["warnings"]] == [4, 7]


def test_a_ledger_that_is_not_there_is_one_line(check):
    code, lines, error = check(FINE, "--ledger", "--clickhouse", "http://127.0.0.1:9")
    assert code == 0  # the file names nobody, so nobody is looked for
    assert lines
    named = "budgets: [{name: a, limit: 1, where: {team: a}}]"
    code, lines, error = check(named, "--ledger", "--clickhouse", "http://127.0.0.1:9")
    assert (code, lines) == (1, [])
    assert error.startswith("spendstream: ClickHouse at http://127.0.0.1:9: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["budgets.yaml", "budgets.hk.yaml"])
def test_nothing_is_wrong_with_the_examples(capsys, name):
    with pytest.raises(SystemExit) as end:
        main(["budgets", "check", str(EXAMPLES / name)])
    assert end.value.code == 0, capsys.readouterr()
