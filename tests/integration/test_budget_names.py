"""Names of a budgets file against a ledger in ClickHouse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from sinks.clickhouse import ClickHouse
from streams.budgets.book import BudgetBook
from streams.budgets.seen_names import unseen_names
from streams.cli.main import main
from streams.yaml_file import YamlFile
from tests.support.ledger_rows import journal_row, journal_rows

pytestmark = pytest.mark.slow

TEXT = """\
budgets:
  - {name: a, limit: 1, where: {team: [search, serch], environment: live}}
  - name: b
    limit: 1
    each: user
    exceptions:
      - {members: {user: [ann, Bob, zoe]}, limit: 2}
  - {name: c, limit: 1, where: {team: support}}
"""
BOOK = YamlFile(TEXT.encode(), "budgets.yaml", shape="").validated(BudgetBook)


def land(clickhouse: ClickHouse, *rows: dict[str, object]) -> None:
    table = journal_rows(*(journal_row(**row) for row in rows))
    for name, value in (("journal", "j"), ("source", "s")):
        table = table.append_column(name, pa.array([value] * len(rows)))
    table = table.append_column("position", pa.array(range(len(rows)), pa.int64()))
    clickhouse.insert("spend", table)


def test_names_that_nothing_was_spent_under_are_told_with_the_nearest(clickhouse: ClickHouse):
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    land(
        clickhouse,
        {"minute": today - timedelta(days=89), "team": "search", "user": "ann"},
        {"minute": today, "team": "search", "user": "bob", "environment": "live"},
        {"minute": today - timedelta(days=91), "team": "support"},
    )
    found = [(suspicion.loc, suspicion.message) for suspicion in unseen_names(BOOK, clickhouse)]
    members = ("budgets", 1, "exceptions", 0, "members", "user")
    assert found == [
        (
            ("budgets", 0, "where", "team", 1),
            'no spend of team "serch" in 90 days; did you mean "search"?',
        ),
        ((*members, 1), 'no spend of user "Bob" in 90 days; did you mean "bob"?'),
        ((*members, 2), 'no spend of user "zoe" in 90 days'),
        (("budgets", 2, "where", "team", 0), 'no spend of team "support" in 90 days'),
    ]


def test_an_empty_ledger_is_told_once(clickhouse: ClickHouse):
    (found,) = unseen_names(BOOK, clickhouse)
    assert found.message == "nothing was spent in the last 90 days to compare the names with"


def test_a_book_without_names_asks_nothing(empty: ClickHouse):
    assert list(unseen_names(BudgetBook(), empty)) == []


def test_the_command_tells_them_with_their_lines(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
):
    land(clickhouse, {"minute": datetime.now(UTC), "environment": "live", "user": "ann"})
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.chdir(tmp_path)
    Path("budgets.yaml").write_text(TEXT)
    with pytest.raises(SystemExit) as end:
        main(["budgets", "check", "budgets.yaml", "--ledger", "--clickhouse", clickhouse.url])
    said = capsys.readouterr().out.splitlines()
    assert end.value.code == 1
    assert said[3:] == [
        'warning: budgets.yaml:2: budgets[0] (a).where.team[1]: no spend of team "serch" in '
        '90 days; did you mean "search"?',
        "warning: budgets.yaml:7: budgets[1] (b).exceptions[0].members.user[1]: no spend of user "
        '"Bob" in 90 days',
        "warning: budgets.yaml:7: budgets[1] (b).exceptions[0].members.user[2]: no spend of user "
        '"zoe" in 90 days',
        'warning: budgets.yaml:8: budgets[2] (c).where.team: no spend of team "support" in 90 days',
    ]
