"""`spendstream export parquet`: files that hold a month, to the last digit, or are not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.journal import Counted
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.parquet import MONTHS, BrokenExport, export_month
from streams.cli.main import main
from tests.support.ledger_rows import JOURNAL, NOON, covering, journal_row, journal_rows

pytestmark = pytest.mark.slow

Export = Callable[..., tuple[int, str, str]]
SMALLEST = Decimal("0.000000000001")


@pytest.fixture
def export(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> Export:
    """Run `export parquet`: exit code, stdout, stderr."""
    ((database,),) = clickhouse.query("SELECT currentDatabase()")
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SPENDSTREAM_CLICKHOUSE", clickhouse.url)
    monkeypatch.chdir(tmp_path)
    ranges = (covering(0, 0),)
    rows = journal_rows(
        *(
            journal_row(minute=minute, workflow="run", user="ada", cost=cost)
            for minute, cost in (
                (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), SMALLEST),
                (datetime(2026, 1, 1, tzinfo=UTC), Decimal("123456789.000000000001")),
                (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), None),
            )
        )
    )
    Ledger(clickhouse, JOURNAL).write(0, ranges, Counted(ranges, None, rows), NOON)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["export", "parquet", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def test_months_tile_the_ledger_and_money_is_exact(export, tmp_path):
    code, out, _ = export(
        "spend", "--from", "2025-12", "--to", "2026-01", "--out", "files", "--json"
    )
    assert code == 0
    told = [json.loads(line) for line in out.splitlines()]
    assert [(Path(one["file"]).name, one["rows"]) for one in told] == [
        ("spend-2025-12.parquet", 1),
        ("spend-2026-01.parquet", 2),
    ]
    tables = [pq.read_table(one["file"]) for one in told]
    assert tables[0].schema.field("cost").type == pa.decimal128(38, 12)
    costs = [cost for table in tables for cost in table["cost"].to_pylist()]
    assert sorted(costs, key=str) == [Decimal("123456789.000000000001"), SMALLEST, None]
    assert tables[0]["minute"].to_pylist() == [datetime(2025, 12, 31, 23, 59, tzinfo=UTC)]
    assert {path.name for path in (tmp_path / "files").iterdir()} == {
        "spend-2025-12.parquet",
        "spend-2026-01.parquet",
    }


@pytest.mark.parametrize("table", MONTHS)
def test_every_table_that_can_be_named_is_written_with_its_public_columns(
    export, clickhouse, table
):
    code, _, said = export(table, "--from", "2026-01", "--out", "files")
    assert (code, said) == (0, "")
    columns = [name for name, *_ in clickhouse.query(f"DESCRIBE TABLE {table}")]
    assert pq.read_schema(f"files/{table}-2026-01.parquet").names == columns


def test_a_file_that_was_cut_short_gets_no_name_and_the_older_one_stays(
    clickhouse, monkeypatch, tmp_path
):
    month = datetime(2026, 1, 1, tzinfo=UTC).date()
    whole = export_month(clickhouse, "spend", month, tmp_path)
    before = whole.path.read_bytes()
    monkeypatch.setattr(ClickHouse, "download", lambda _, __, ___, out: out.write(before[:-9]))
    with pytest.raises(BrokenExport, match=r"spend-2026-01\.parquet: ClickHouse sent no whole"):
        export_month(clickhouse, "spend", month, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["spend-2026-01.parquet"]
    assert whole.path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("spent", "--from", "2026-01", "--out", "x"), "'spent' is not one of"),
        (("spend", "--from", "2026/1", "--out", "x"), "--from: '2026/1' is no month"),
        (("spend", "--from", "2026-02", "--to", "2026-01", "--out", "x"), "exchange them"),
        (("spend", "--from", "2026-01", "--out", "/proc/none"), "name a folder to write to"),
    ],
)
def test_a_mistake_is_one_line_with_what_would_be_right(export, arguments, said):
    code, out, error = export(*arguments)
    assert (code, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1
