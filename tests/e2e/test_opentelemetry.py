"""The unmodified OpenTelemetry SDK, set as docs/opentelemetry.md says, into SQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.web.tokens import entry, new_token
from tests.support.running_stack import RunningStack, clean_environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "opentelemetry.md").read_text("utf-8")
SETTINGS, DELTA = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
(BY_HAND,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
IN_JSON = BY_HAND.replace("otlp.proto.http", "otlp.json.http")
METRICS = """
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
usage = provider.get_meter("by hand").create_histogram("gen_ai.client.token.usage")
call = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
}
for tokens in (30, 12):
    usage.record(tokens, call | {"gen_ai.token.type": "input"})
usage.record(8, call | {"gen_ai.token.type": "output"})
provider.shutdown()
"""


@pytest.fixture(scope="module")
def token() -> str:
    return new_token()


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, kafka: str | None, token: str
) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("stack")
    tokens = folder / "tokens.yaml"
    tokens.write_text("tokens:\n" + entry("search", token, ["search"], ["traces", "metrics"]))
    running = RunningStack(folder / "spendstream", "--tokens", str(tokens), kafka=kafka)
    running.start()
    yield running
    running.stop()


def exported(stack: RunningStack, token: str, script: str, settings: str) -> str:
    """Run the script in a shell with the page's settings; what the SDK had to say."""
    here = settings.replace("127.0.0.1:6067", f"127.0.0.1:{stack.ports.ingest}")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in here
    done = subprocess.run(
        ["bash", "-c", f'{here}\nexec "{sys.executable}" -c "$SCRIPT"'],
        env=clean_environment(SPENDSTREAM_TOKEN=token, SCRIPT=script),
        cwd=os.sep,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def events(stack: RunningStack, columns: str, source: str, count: int) -> list[tuple[Any, ...]]:
    """Events of that usage_source, once there are so many."""
    query = f"SELECT {columns} FROM usage_events WHERE usage_source = '{source}' ORDER BY ALL"
    wait_until(f"{count} events", lambda: len(stack.query(query)) >= count, 60)
    return stack.query(query)


def test_spans_of_the_sdk_are_in_sql_whichever_the_encoding(stack, token):
    for script in (BY_HAND, IN_JSON):
        assert exported(stack, token, script, SETTINGS) == ""
    columns = (
        "provider, model, team, application, environment, user, status, "
        "input_tokens, cache_read_tokens, output_tokens, startsWith(event_id, 'otel:')"
    )
    row = ("openai", "gpt-4o", "search", "agent", "production", "ann", "ok", 200, 1000, 300, 1)
    assert events(stack, columns, "reported", 2) == [row, row]


def test_metrics_of_the_sdk_count_with_delta_and_are_refused_without(stack, token):
    exported(stack, token, METRICS, SETTINGS)
    exported(stack, token, METRICS, SETTINGS + DELTA)
    rows = events(stack, "team, input_tokens, output_tokens", "estimated", 2)
    assert rows == [("search", 42, None), ("search", None, 8)]


def test_what_a_token_may_not_write_is_said_in_the_log(stack, token):
    foreign = SETTINGS.replace("spendstream.team=search", "spendstream.team=finance")
    exported(stack, token, BY_HAND, foreign)  # Python's SDK does not look at partial_success
    wait_until("the line", lambda: "token search may not write for 'finance'" in stack.log("web"))
