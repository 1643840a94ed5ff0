"""docker-compose.yml against the application that it starts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.budgets.budget_file import read_budgets
from streams.cli.main import COMMANDS
from streams.kafka import ENTRY_ROOM
from streams.rating.pricebook import PriceBook
from streams.settings import PREFIX, Settings, load_settings
from streams.web.tokens import read_tokens
from streams.work import ALIVE_SECONDS

REPOSITORY = Path(__file__).parents[2]
FILE = REPOSITORY / "docker-compose.yml"
STAGES = {
    "meter": ["meter"],
    "ledger": ["sink", "ledger"],
    "archive": ["sink", "archive"],
    "guard": ["guard"],
    "web": ["web"],
}
OURS = ("migrate", *STAGES)
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*))?\}")
MINIMUM_OF_KAFKA = 6000
"""Milliseconds: group.min.session.timeout.ms of a broker that was not told otherwise."""


def with_defaults(text: str) -> str:
    """The file as it is where nobody has set anything."""
    return VARIABLE.sub(lambda found: found[2] or "", text).replace("$$", "$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(with_defaults(FILE.read_text("utf-8")))
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What the service's process sees: a name without a value is not there."""
    return {name: str(value) for name, value in service["environment"].items() if value is not None}


def settings_of(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    for name, value in environment(service).items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_there_is_one_service_per_stage_and_what_it_stands_on(services):
    assert set(services) == {"kafka", "clickhouse", *OURS, "grafana"}


@pytest.mark.parametrize(("name", "command"), [*STAGES.items(), ("migrate", ["migrate"])])
def test_a_service_runs_a_command_that_exists(services, name, command):
    assert services[name]["command"] == command
    assert command[0] in COMMANDS


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_a_setting(services, name):
    known = {f"{PREFIX}{field}".upper() for field in Settings.model_fields}
    assert set(services[name]["environment"]) <= known


def test_every_variable_of_ours_in_the_file_is_a_setting():
    known = {f"{PREFIX}{field}".upper() for field in Settings.model_fields}
    assert set(re.findall(rf"{PREFIX}\w+", FILE.read_text("utf-8"))) <= known


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_service_are_valid(services, name, monkeypatch):
    settings = settings_of(services[name], monkeypatch)
    assert settings.kafka == "kafka:29092"
    assert settings.clickhouse == "http://clickhouse:8123"
    assert settings.session_timeout_ms >= MINIMUM_OF_KAFKA
    assert settings.fetch_max_wait_ms == 500


@pytest.mark.parametrize("name", OURS)
def test_a_service_logs_in_as_the_user_that_clickhouse_was_given(services, name, monkeypatch):
    settings = settings_of(services[name], monkeypatch)
    given = environment(services["clickhouse"])
    assert settings.clickhouse_user == given["CLICKHOUSE_USER"] != "default"
    assert settings.clickhouse_password.get_secret_value() == given["CLICKHOUSE_PASSWORD"] != ""
    assert settings.clickhouse_database == given["CLICKHOUSE_DB"]


def test_what_is_not_set_is_not_handed_on_as_an_empty_text(services):
    empty = {
        (name, variable)
        for name, service in services.items()
        for variable, value in service.get("environment", {}).items()
        if value == ""
    }
    assert empty == set()


def test_every_port_is_on_loopback_only(services):
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 5
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("kafka", "kafka-broker-api-versions.sh"),
        ("clickhouse", "http://127.0.0.1:8123/ping"),
        *((stage, "http://127.0.0.1:9464/healthz") for stage in STAGES),
    ],
)
def test_what_can_be_asked_is_asked_for_its_health(services, name, asks):
    assert asks in " ".join(services[name]["healthcheck"]["test"])


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_tells_its_health_where_it_is_asked_and_to_its_network(services, name, monkeypatch):
    settings = settings_of(services[name], monkeypatch)
    assert settings.health_host == "0.0.0.0"  # noqa: S104 - inside its container
    assert f":{settings.health_port}/" in " ".join(services[name]["healthcheck"]["test"])


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_that_is_stuck_is_unhealthy_within_half_a_minute(services, name):
    check = services[name]["healthcheck"]
    interval, timeout = (int(check[part].removesuffix("s")) for part in ("interval", "timeout"))
    answered_at_once = check["retries"] * interval
    assert ALIVE_SECONDS + answered_at_once <= 30
    assert check["retries"] * (interval + timeout) <= 30, "a stopped one, which does not answer"


def test_migrate_ends_before_anybody_could_ask_it(services):
    assert services["migrate"]["healthcheck"] == {"disable": True}


def test_the_guard_listens_where_its_port_is_published(services, monkeypatch):
    settings = settings_of(services["guard"], monkeypatch)
    assert settings.web_host == "0.0.0.0"  # noqa: S104 - inside its container
    assert services["guard"]["ports"] == [f"127.0.0.1:6066:{settings.web_port}"]


def test_the_web_stage_listens_where_its_port_is_published_and_demands_tokens(
    services, monkeypatch
):
    settings = settings_of(services["web"], monkeypatch)
    assert settings.ingest_host == "0.0.0.0"  # noqa: S104 - inside its container
    assert services["web"]["ports"] == [f"127.0.0.1:6067:{settings.ingest_port}"]
    folder, target, _ = services["web"]["volumes"][0].split(":")
    assert settings.tokens is not None
    tokens = read_tokens(REPOSITORY / folder / settings.tokens.relative_to(target))
    assert tokens.tokens == (), "a token that everybody can read is nobody's"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_comes_back_and_waits_for_what_it_needs(services, name):
    assert services[name]["restart"] == "unless-stopped"
    assert services[name]["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "clickhouse": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }


def test_migrate_runs_once_and_does_not_wait_for_itself(services):
    assert services["migrate"]["restart"] == "no"
    assert set(services["migrate"]["depends_on"]) == {"kafka", "clickhouse"}


@pytest.mark.parametrize("name", ["kafka", "clickhouse", *OURS, "grafana"])
def test_an_image_is_pinned_to_a_version(services, name):
    _, _, tag = services[name]["image"].partition(":")
    assert re.fullmatch(r"\d+(\.\d+){2,3}", tag)


def test_data_is_in_named_volumes(compose, services):
    for name in ("kafka", "clickhouse"):
        (volume,) = services[name]["volumes"]
        assert volume.partition(":")[0] in compose["volumes"]


def test_kafka_runs_without_zookeeper_on_one_node(services):
    kafka = environment(services["kafka"])
    assert kafka["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert "ZOOKEEPER" not in "".join(kafka)
    assert {kafka[name] for name in kafka if name.endswith(("REPLICATION_FACTOR", "MIN_ISR"))} == {
        "1"
    }
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_kafka_takes_the_largest_journal_entry_and_no_larger_event(services):
    """And nothing that the meter's own producer could not write on to the dead letters."""
    limit = int(environment(services["kafka"])["KAFKA_MESSAGE_MAX_BYTES"])
    assert limit == Settings.model_fields["max_entry_bytes"].default + ENTRY_ROOM


def test_kafka_has_the_cluster_id_of_its_volume(services, tmp_path):
    """A volume that was emptied must not come back under the old name."""
    script = services["kafka"]["command"][-1]
    data, made = tmp_path / "data", tmp_path / "made"
    tool = tmp_path / "kafka-storage.sh"
    tool.write_text(f"#!/bin/sh\necho x >> {made}\necho id-$(wc -l < {made} | tr -d ' ')\n")
    tool.chmod(0o700)
    script = script.replace("/var/lib/kafka/data", str(data))
    script = script.replace("/opt/kafka/bin/kafka-storage.sh", str(tool))
    script = script.replace("exec /etc/kafka/docker/run", 'echo "$CLUSTER_ID"')

    def started() -> str:
        data.mkdir(exist_ok=True)
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert [started(), started()] == ["id-1", "id-1"]
    shutil.rmtree(data)
    assert started() == "id-2"


def test_the_example_files_are_valid_where_they_are_mounted(services, monkeypatch):
    (mounted,) = services["guard"]["volumes"]
    folder, target, mode = mounted.split(":")
    assert mode == "ro"
    budgets = settings_of(services["guard"], monkeypatch).budgets
    assert budgets is not None
    book = read_budgets(REPOSITORY / folder / budgets.relative_to(target))
    assert [budget.name for budget in book.budgets] == ["search", "support"]
    assert [step.at for step in book.budgets[0].thresholds] == [50, 80, 100]
    assert PriceBook.load(REPOSITORY / folder / "prices.yaml").overrides.prices


def test_the_image_gets_what_it_copies():
    """.dockerignore leaves out everything but what it names."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text("utf-8")
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    lines = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    assert copied == {line[1:] for line in lines if line.startswith("!")}
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []


def test_the_image_installs_the_lock_and_does_not_run_as_root():
    dockerfile = (REPOSITORY / "Dockerfile").read_text("utf-8")
    assert "pip install --require-hashes --no-deps -r requirements.lock" in dockerfile
    assert re.search(r"^USER (?!root)\w+$", dockerfile, re.MULTILINE)
    assert 'ENTRYPOINT ["spendstream"]' in dockerfile


def has_compose() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not has_compose(), reason="needs docker with compose")
def test_docker_compose_accepts_the_file():
    done = subprocess.run(
        ["docker", "compose", "-f", str(FILE), "config", "--quiet"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
