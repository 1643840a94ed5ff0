"""examples/grafana: a dashboard that Grafana can load, and a data source that only reads."""

from __future__ import annotations

import itertools
import re
import subprocess
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.support.grafana import (
    DASHBOARD,
    GRAFANA,
    PANELS,
    REPOSITORY,
    VARIABLES,
    View,
    sql_of,
    tables_of,
)
from tests.unit.test_compose import with_defaults

PUBLIC = set(
    re.findall(r"^## (\w+)$", (REPOSITORY / "docs" / "sql.md").read_text("utf-8"), re.MULTILINE)
)
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = (REPOSITORY / "docker-compose.yml").read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(with_defaults(text))
    return document


@pytest.fixture(scope="module")
def grafana(compose: dict[str, Any]) -> dict[str, Any]:
    service: dict[str, Any] = compose["services"]["grafana"]
    return service


@pytest.fixture(scope="module")
def reader(compose: dict[str, Any]) -> ElementTree.Element:
    """The user of ClickHouse that the stack makes for whoever only reads."""
    content = compose["configs"]["clickhouse-reader"]["content"]
    users = ElementTree.fromstring(content)  # noqa: S314 - our own file
    (found,) = users.findall("users/*")
    return found


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    path = GRAFANA / "provisioning" / "datasources" / "clickhouse.yaml"
    (found,) = yaml.safe_load(path.read_text("utf-8"))["datasources"]
    provisioned: dict[str, Any] = found
    return provisioned


@each_panel
def test_a_panel_says_what_it_shows(panel):
    assert panel["title"]
    assert len(panel["description"]) > 20


@each_panel
def test_a_panel_asks_the_provisioned_data_source_in_its_own_form(panel, source):
    wanted = {"type": source["type"], "uid": source["uid"]}
    (target,) = panel["targets"]
    assert panel["datasource"] == target["datasource"] == wanted
    timed = panel["type"] == "timeseries"
    assert (target["queryType"], target["format"]) == (("timeseries", 0) if timed else ("table", 1))
    assert target["editorType"] == "sql"


@each_panel
def test_a_panel_reads_documented_views_only(panel):
    names = tables_of(sql_of(panel))
    assert names
    assert names <= PUBLIC


@each_panel
def test_a_panel_that_a_filter_does_not_hold_for_says_so(panel):
    said = panel["description"].lower()
    if "$team" not in sql_of(panel):
        assert "all teams" in said or "the filters" in said
    elif "$environment" not in sql_of(panel):
        assert "not filtered by environment" in said


@each_panel
def test_a_table_is_not_endless(panel):
    if panel["type"] == "table":
        assert "LIMIT" in sql_of(panel) or tables_of(sql_of(panel)) <= {"metering", "open_alerts"}


def test_panels_have_an_id_each_and_do_not_overlap():
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    taken = [
        (x, y)
        for panel in PANELS
        for x, y in itertools.product(
            range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]),
            range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"]),
        )
    ]
    assert len(set(taken)) == len(taken)
    width = 24  # columns of Grafana's grid
    assert max(x for x, _ in taken) < width
    height = max(y for _, y in taken) + 1
    assert len(taken) == width * height, "a gap"


def test_the_dashboard_has_an_id_of_its_own_and_nothing_of_the_grafana_that_made_it():
    assert DASHBOARD["uid"] == "spendstream-operations"
    assert {"id", "iteration", "__inputs", "__requires"}.isdisjoint(DASHBOARD)
    assert [panel["title"] for panel in PANELS if "pluginVersion" in panel] == []
    assert DASHBOARD["timezone"] == "utc", "as the ledger's times and days are"


def test_variables_ask_the_same_data_source_and_begin_with_all(source):
    assert [variable["name"] for variable in VARIABLES] == ["team", "environment"]
    for variable in VARIABLES:
        assert variable["datasource"]["uid"] == source["uid"]
        assert variable["current"]["value"] == ["$__all"]
        assert tables_of(variable["query"]["rawSql"]) <= PUBLIC


def test_a_dashboard_file_is_found_where_it_is_mounted(grafana):
    mounts = {}
    for volume in grafana["volumes"]:
        folder, target, mode = volume.split(":")
        assert mode == "ro"
        assert (REPOSITORY / folder).is_dir()
        mounts[target] = REPOSITORY / folder
    path = GRAFANA / "provisioning" / "dashboards" / "spendstream.yaml"
    (provider,) = yaml.safe_load(path.read_text("utf-8"))["providers"]
    assert mounts["/etc/grafana/provisioning/dashboards"] == path.parent
    assert mounts["/etc/grafana/provisioning/datasources"] == GRAFANA / "provisioning/datasources"
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, name = home.rpartition("/")
    assert folder == provider["options"]["path"]
    assert (mounts[folder] / name).is_file()


def test_the_data_source_logs_in_as_the_reader_of_the_stack(compose, grafana, source, reader):
    assert source["jsonData"]["username"] == reader.tag == "reader"
    assert source["jsonData"]["host"] in compose["services"]
    given = compose["services"]["clickhouse"]["environment"]
    password = reader.find("password")
    assert password is not None
    variable = password.attrib["from_env"]
    assert source["secureJsonData"]["password"] == f"${variable}"
    assert grafana["environment"][variable] == given[variable] != given["CLICKHOUSE_PASSWORD"]
    database = source["jsonData"]["defaultDatabase"].removeprefix("$")
    assert grafana["environment"][database] == given["CLICKHOUSE_DB"]


def test_the_reader_of_the_stack_may_do_what_the_role_may(reader):
    grants = [query.text for query in reader.findall("grants/query")]
    role = re.findall(
        r"^(GRANT [^;]+) TO spendstream_reader;$",
        (REPOSITORY / "sinks" / "grants.sql").read_text("utf-8"),
        re.MULTILINE,
    )
    assert grants == role == ["GRANT SELECT ON spendstream.*"]


def test_grafana_is_there_for_who_asks_for_it_and_lets_others_only_look(grafana):
    assert grafana["profiles"] == ["grafana"]
    settings = grafana["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    plugin, _, version = settings["GF_PLUGINS_PREINSTALL_SYNC"].partition("@")
    assert plugin == "grafana-clickhouse-datasource"
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_the_password_of_admin_is_the_one_given_or_nobody_knows_it(grafana, tmp_path):
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD"] is None
    shell, option, script = grafana["entrypoint"]
    run = tmp_path / "run.sh"
    run.write_text("#!/bin/sh\nprintenv GF_SECURITY_ADMIN_PASSWORD\n")
    run.chmod(0o700)
    script = script.replace("/run.sh", str(run))

    def started(**environment: str) -> str:
        done = subprocess.run(
            [shell, option, script],
            env={"PATH": "/usr/bin:/bin"} | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert started(GF_SECURITY_ADMIN_PASSWORD="mine") == "mine"
    made = {started(), started()}
    assert len(made) == 2
    assert min(map(len, made)) >= 32


def test_macros_and_variables_are_expanded_as_the_plugin_does():
    start, end = (datetime(2026, 11, day, 12, tzinfo=UTC) for day in (1, 2))
    condition = "$__conditionalAll(f(team, '-') IN (${team:singlequote}), $team)"
    sql = f"SELECT $__timeInterval(minute) WHERE $__timeFilter(minute) AND {condition}"
    times = "minute >= toDateTime(1793534400) AND minute <= toDateTime(1793620800)"
    select = "SELECT toStartOfInterval(toDateTime(minute), INTERVAL 60 second) WHERE"
    assert View(start, end).expand(sql) == f"{select} {times} AND 1=1"
    chosen = View(start, end, chosen={"team": ("o'neill", "search")})
    named = "f(team, '-') IN ('o\\'neill','search')"
    assert chosen.expand(sql) == f"{select} {times} AND {named}"
    with pytest.raises(ValueError, match=r"\$__timeFiltre"):
        View(start, end).expand("SELECT 1 WHERE $__timeFiltre(minute)")
