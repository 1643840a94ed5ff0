"""Every recipe of docs/producers.md, run as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_stack import RunningStack, clean_environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "producers.md").read_text("utf-8")
RECIPES = {
    part.partition("\n")[0]: re.findall(r"^```(\w+)\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    for part in PAGE.split("\n## ")[1:]
}
"""Of each section its fenced blocks: language and text."""
COLUMNS = "input_tokens, cache_read_tokens, output_tokens"
COUNTED: dict[str, tuple[int | None, ...]] = {
    "Python": (1200, None, 80),
    "Python, by HTTP and with a spool": (1300, None, 81),
    "The official OpenAI client": (21, 10, 7),
    "The official Anthropic client": (41, 10, 9),
    "A response of your own": (376, 1024, 82),
    "curl": (1500, None, 83),
    "CloudEvents": (1600, None, 84),
    "OpenMeter's client": (1700, None, None),
    "OpenTelemetry": (1800, None, 85),
    "Import": (1900, None, 86),
}
ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [],
        "usage": {
            "prompt_tokens": 31,
            "completion_tokens": 7,
            "total_tokens": 38,
            "prompt_tokens_details": {"cached_tokens": 10},
        },
    },
    "/v1/messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 41, "cache_read_input_tokens": 10, "output_tokens": 9},
    },
}


class Provider(BaseHTTPRequestHandler):
    """Both providers' APIs, each with one answer."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps(ANSWERS[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, kafka: str | None) -> Iterator[RunningStack]:
    """In the folder in which commands look for it."""
    running = RunningStack(tmp_path_factory.mktemp("recipes") / ".spendstream", kafka=kafka)
    running.start()
    yield running
    running.stop()


def run(stack: RunningStack, provider: str, title: str) -> str:
    """Run a recipe beside the stack, with its addresses; what it printed."""
    ((language, code),) = RECIPES[title]
    code = code.replace("127.0.0.1:6067", f"127.0.0.1:{stack.ports.ingest}")
    code = code.replace("127.0.0.1:9092", stack.settings.kafka)
    here = Path(sys.executable).parent
    command = {"python": [sys.executable, "-c"], "bash": ["bash", "-euc"]}[language]
    done = subprocess.run(
        [*command, code],
        cwd=stack.folder.parent,
        env=clean_environment(
            PATH=f"{here}:/usr/bin:/bin",
            OPENAI_BASE_URL=f"{provider}/v1",
            OPENAI_API_KEY="none",
            ANTHROPIC_BASE_URL=provider,
            ANTHROPIC_API_KEY="none",
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{title}: {done.stderr}{done.stdout}"
    return done.stdout


def test_each_recipe_has_a_test():
    assert list(RECIPES) == [*COUNTED, "What became of it"]


@pytest.mark.parametrize("title", COUNTED)
def test_a_recipe_of_the_page_is_one_event_with_its_tokens(
    stack: RunningStack, provider: str, title: str
):
    run(stack, provider, title)
    model = "claude-sonnet-4-6" if "Anthropic" in title else "gpt-4o-mini"
    maker = "anthropic" if "Anthropic" in title else "openai"
    row = ("search", maker, model, "reported", *COUNTED[title])
    query = f"SELECT team, provider, model, usage_source, {COLUMNS} FROM usage_events"
    wait_until(title, lambda: stack.query(query).count(row) == 1)
    priced = "SELECT count() FROM usage WHERE cost > 0 AND input_tokens = "
    wait_until("its price", lambda: stack.query(f"{priced}{row[4]}") == [(1,)])


def test_the_outcome_of_the_page_is_in_sql_though_the_stack_ends_at_once(
    stack: RunningStack, provider: str
):
    assert '"accepted": 1' in run(stack, provider, "What became of it")
    stack.stop()
    stack.start()
    query = "SELECT outcome_id, name, toString(value) FROM outcomes WHERE outcome_id = 'judge-1'"
    wait_until("the outcome", lambda: stack.query(query) == [("judge-1", "quality", "0.87")])
