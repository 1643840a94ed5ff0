"""The dashboard's queries on the engine, with the rights of the reader in docker-compose.yml."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from sinks.clickhouse import ClickHouse, ClickHouseRefused
from sinks.migrate import migrate
from tests.integration.test_grants import ENGINES_OWN
from tests.integration.test_sql_docs import fill
from tests.support.clickhouse_endpoint import clickhouse_endpoint
from tests.support.grafana import PANELS, REPOSITORY, VARIABLES, View, sql_of
from tests.unit.test_compose import with_defaults

pytestmark = pytest.mark.slow

DATABASE = "spendstream"
COMPOSE = (REPOSITORY / "docker-compose.yml").read_text("utf-8")
GRANTS = re.findall(r"<query>(GRANT [^<]+)</query>", with_defaults(COMPOSE))
USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>::/0</ip></networks><profile>default</profile>
<quota>default</quota><access_management>1</access_management></default></users></clickhouse>"""
SHOW = """
import sys, chdb
connection = chdb.connect(f"{sys.argv[1]}/data?config-file={sys.argv[1]}/config.xml")
for statement in ("SHOW GRANTS FOR reader", "SHOW CREATE USER reader"):
    print(connection.query(statement, "TSVRaw"), end="")
"""
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""When the first of the rows happened. All were recorded just now."""
TEXT, NUMBER, TIME = str, (int, float, Decimal), (datetime, date)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    data = tmp_path_factory.mktemp("grafana") / "data"
    with clickhouse_endpoint(data) as address:
        administrator = ClickHouse(address)
        administrator.command(f"CREATE DATABASE {DATABASE}")
        # The engine does not open a default database that was left empty.
        administrator.command("CREATE TABLE kept (n Int8) ENGINE = MergeTree ORDER BY n")
        administrator.close()
        owner = ClickHouse(address, database=DATABASE)
        migrate(owner)
        fill(owner)
        owner.close()
    with clickhouse_endpoint(data, grants=[*ENGINES_OWN, *GRANTS]) as address:
        connection = ClickHouse(address, database=DATABASE)
        yield connection
        connection.close()


@pytest.fixture(scope="module")
def everything() -> View:
    """A range with all rows in it, by when they happened and by when they were recorded."""
    now = datetime.now(UTC)
    return View(min(NOON, now) - timedelta(days=1), max(NOON, now) + timedelta(days=1))


def asked(reader: ClickHouse, sql: str) -> list[dict[str, Any]]:
    names, rows = reader.query_columns(sql)
    assert len(set(names)) == len(names)
    return [dict(zip(names, row, strict=True)) for row in rows]


def chosen(view: View, **variables: tuple[str, ...]) -> View:
    return View(view.start, view.end, view.interval, variables)


def titled(title: str) -> str:
    (panel,) = (panel for panel in PANELS if panel["title"] == title)
    return sql_of(panel)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
@pytest.mark.parametrize("teams", [(), ("search", "support")], ids=["all", "chosen"])
def test_a_panel_gets_rows_of_the_form_that_it_draws(reader, everything, panel, teams):
    view = chosen(everything, team=teams, environment=("(none)",)) if teams else everything
    rows = asked(reader, view.expand(sql_of(panel)))
    assert rows
    if panel["type"] == "stat":
        (row,) = rows
        (value,) = row.values()
        assert value is None or isinstance(value, NUMBER)
    if panel["type"] == "timeseries":
        times = [row.pop("time") for row in rows]
        assert all(isinstance(time, TIME) for time in times)
        assert times == sorted(times), "Grafana's long form wants them so"
        kinds = [{name for name in row if isinstance(row[name], NUMBER)} for row in rows]
        assert set().union(*kinds) == {name for name in rows[0] if name != "payer"}
    for name in overridden(panel):
        assert name in rows[0], "an override of a column that is not there"


def overridden(panel: dict[str, Any]) -> list[str]:
    return [rule["matcher"]["options"] for rule in panel["fieldConfig"]["overrides"]]


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable["name"])
def test_a_variable_has_values(reader, variable):
    values = [value for (value,) in reader.query(variable["query"]["rawSql"])]
    assert values
    assert all(isinstance(value, TEXT) for value in values)


def test_spend_per_minute_is_that_of_the_last_five_minutes(reader):
    title = "Spend per minute"
    view = View(NOON - timedelta(hours=6), NOON + timedelta(minutes=5))
    ((whole,),) = reader.query("SELECT sum(cost) FROM spend WHERE toDate(minute) = '2026-11-01'")
    ((shown,),) = reader.query(view.expand(titled(title)))
    assert shown == whole / 5 > 0
    elsewhere = chosen(view, environment=("production",))
    assert reader.query(elsewhere.expand(titled(title))) == [(None,)], "not known, and not nothing"


def test_spend_by_team_adds_up_to_the_ledger_at_any_interval(reader, everything):
    sql = titled("Spend per minute, by team")
    ((whole,),) = reader.query(f"SELECT sum(cost) FROM spend WHERE minute >= '{NOON:%Y-%m-%d}'")
    for interval in (60, 3600):
        view = View(everything.start, everything.end, interval)
        rows = asked(reader, view.expand(sql))
        assert {row["payer"] for row in rows} == {"search", "support"}
        usd = sum(row["usd_per_minute"] * interval for row in rows if row["usd_per_minute"])
        assert abs(usd / 60 - whole) < Decimal("1e-9")


def test_a_correction_does_not_look_late(reader, everything):
    """The one among the rows is about a month before all others."""
    sql = titled("How late calls are recorded")
    rows = asked(reader, everything.expand(sql))
    view = everything.expand("$__timeFilter(recorded_at)")
    ((worst,),) = reader.query(
        f"SELECT max(dateDiff('second', minute, recorded_at)) FROM spend WHERE {view}"
    )
    assert 0 < max(row["p99"] for row in rows) < worst


def test_the_engine_takes_the_reader_of_the_stack(tmp_path: Path) -> None:
    stack = yaml.safe_load(with_defaults(COMPOSE))
    (tmp_path / "users.xml").write_text(USERS)
    (tmp_path / "users.d").mkdir()
    (tmp_path / "users.d" / "reader.xml").write_text(
        stack["configs"]["clickhouse-reader"]["content"]
    )
    (tmp_path / "config.xml").write_text(
        "<clickhouse><logger><level>none</level></logger>"
        f"<users_config>{tmp_path / 'users.xml'}</users_config></clickhouse>"
    )
    variable = "SPENDSTREAM_CLICKHOUSE_READER_PASSWORD"
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(tmp_path)],
        env={variable: stack["services"]["clickhouse"]["environment"][variable]},
        capture_output=True,
        text=True,
        check=True,
    )
    grants, user = done.stdout.splitlines()
    assert grants == f"GRANT SELECT ON {DATABASE}.* TO reader"
    assert user == (
        "CREATE USER reader IDENTIFIED WITH plaintext_password SETTINGS PROFILE `reader`"
    )


def test_the_reader_of_the_stack_cannot_change_anything(reader):
    for statement in (
        "INSERT INTO spend (team) VALUES ('x')",
        "TRUNCATE TABLE spend",
        "DROP VIEW coverage",
        "CREATE TABLE more (n Int8) ENGINE = MergeTree ORDER BY n",
    ):
        with pytest.raises(ClickHouseRefused, match="Not enough privileges"):
            reader.command(statement)
