from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streams.cli.main import main
from streams.settings import PREFIX

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "prices.yaml")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `spendstream prices …`: exit code, stdout, stderr."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["prices", *arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


class Upstream(ThreadingHTTPServer):
    body = b""


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Upstream)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_show_says_who_decided_and_why(run: Run):
    code, out, _ = run("show", "openai/gpt-4o", "--prices", EXAMPLE, "--at", "2026-10-02")
    assert code == 0
    assert "decided    price by Jane Roe, procurement: contract 4711" in out
    assert "note       reviewed every October" in out


def test_diff_shows_old_and_new_rates_and_json_has_them_exactly(run: Run):
    code, out, _ = run("diff", "list", EXAMPLE, "--model", "openai/gpt-4o")
    assert code == 0
    assert "2026-10-01 │ –     │ output          │   10 │     9 │  -10 %" in out
    _, out, _ = run("diff", EXAMPLE, "-", "--model", "claude-haiku-4-5", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    (row,) = (
        row
        for row in rows
        if (row["bucket"], row["service_tier"], row["region"]) == ("output", "standard", "eu")
        if row["valid_from"].startswith("2026-11-01")
    )
    assert (row["old"], row["new"], row["percent"]) == ("4.675", "5", "6.95")


def test_diff_of_a_file_with_itself_says_that_nothing_changes(run: Run):
    assert run("diff", EXAMPLE, EXAMPLE) == (0, "The prices are the same.\n", "")


def test_diff_without_a_second_file_says_what_would_be_right(run: Run):
    code, _, err = run("diff", EXAMPLE)
    assert code == 2
    assert f"`spendstream prices diff list {EXAMPLE}`" in err


def test_history_has_a_line_per_period_of_the_tier_asked_for(run: Run):
    _, out, _ = run("history", "gpt-4o", "--tier", "batch", "--prices", EXAMPLE, "--json")
    periods = [json.loads(line) for line in out.splitlines()]
    assert [(p["valid_from"] or "")[:10] for p in periods][-1] == "2026-10-01"
    assert {p["service_tier"] for p in periods} == {"batch"}
    code, _, err = run("history", "gpt-4oo")
    assert (code, "did you mean gpt-4o" in err) == (2, True)


def test_check_without_usage_asks_nobody_and_finds_the_example_in_order(run: Run):
    code, out, err = run("check", "--no-usage", "--prices", EXAMPLE, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["ledger"] is None


def test_check_goes_on_without_clickhouse_unless_its_address_was_given(run: Run):
    code, out, _ = run("check", "--prices", EXAMPLE)
    assert code == 0
    assert "not asked for the models in use: ClickHouse at http://127.0.0.1:8123" in out
    code, _, err = run("check", "--clickhouse", "http://127.0.0.1:9")
    assert code == 1
    assert err.startswith("spendstream: ClickHouse at http://127.0.0.1:9")


NEWEST = [
    {
        "id": "anthropic",
        "name": "Anthropic",
        "api_pattern": "https://api\\.anthropic\\.com",
        "models": [
            {
                "id": "claude-haiku-4-5",
                "match": {"equals": "claude-haiku-4-5"},
                "prices": {"input_mtok": 1, "cache_read_mtok": 0.1, "output_mtok": 10},
            }
        ],
    }
]


def test_check_shows_what_the_newest_list_changes_without_applying_it(run: Run, upstream: Upstream):
    upstream.body = json.dumps(NEWEST).encode()
    url = f"http://127.0.0.1:{upstream.server_port}/data.json"
    file = Path("prices.yaml")
    file.write_text(
        "discounts: [{provider: anthropic, model: claude-haiku-4-5, percent: 50, "
        "effective_from: 2026-10-01}]\n"
    )
    options = ("--no-usage", "--prices", str(file), "--upstream", "--upstream-url", url, "--json")
    code, out, err = run("check", *options)
    assert (code, err) == (0, "")
    told = {
        (row["bucket"], (row["valid_from"] or "")[:10], row["old"], row["new"])
        for row in json.loads(out)["upstream"]
        if row["service_tier"] == "standard"
    }
    assert {("output", "", "5", "10"), ("output", "2026-10-01", "2.5", "5")} <= told
    _, out, _ = run("show", "anthropic/claude-haiku-4-5", "--at", "2026-09-01", "--json")
    assert (
        json.loads(out.splitlines()[0])["levels"][0]["usd_per_million_tokens"]["output_tokens"]
        == "5"
    )


@pytest.mark.parametrize("body", [b"{}", b"no json", b'[{"id": 3}]'])
def test_what_is_no_price_list_is_one_clear_line(run: Run, upstream: Upstream, body: bytes):
    upstream.body = body
    url = f"http://127.0.0.1:{upstream.server_port}/"
    code, _, err = run("check", "--no-usage", "--upstream", "--upstream-url", url)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "holds no list that this genai-prices reads" in err


def test_no_network_is_one_clear_line(run: Run):
    code, _, err = run("check", "--no-usage", "--upstream", "--upstream-url", "http://127.0.0.1:9/")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "the newest list prices could not be fetched from http://127.0.0.1:9/" in err
