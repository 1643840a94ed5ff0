"""`spendstream alerts`: samples through real channels, and the page that shows them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sinks.alert_samples import RULES
from streams.cli.main import main
from streams.settings import PREFIX
from tests.support.receiver import SECRET, Receiver, receiving

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: its exit code, stdout and stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as running:
        monkeypatch.setenv(f"{PREFIX}SLACK_WEBHOOK", f"{running.address}/slack")
        monkeypatch.setenv(f"{PREFIX}WEBHOOK", f"{running.address}/hook")
        monkeypatch.setenv(f"{PREFIX}WEBHOOK_SECRET", SECRET)
        yield running


def titles(receiver: Receiver, path: str) -> list[str]:
    return [post.body.get("title", "") for post in receiver.posts if post.path == path]


def test_every_channel_gets_a_sample_of_every_kind(run: Run, receiver: Receiver) -> None:
    code, out, _ = run("alerts", "test")
    count = len(RULES) + 4 + 2  # one whole history, a reminder and a digest
    assert code == 0
    assert out.splitlines() == [
        f"ok   slack   {count} messages taken",
        f"ok   webhook {count} messages taken",
    ]
    bodies = [post.body for post in receiver.posts if post.path == "/hook"]
    assert {body["rule"] for body in bodies if "rule" in body} == set(RULES)
    assert all("[test] " in title for title in titles(receiver, "/hook")[:-1])
    slack = [post.about for post in receiver.posts if post.path == "/slack"]
    assert all("[test] " in text for text in slack[:-1])
    assert slack[1].startswith("⏰ Still open: [test]")
    assert slack[-1].startswith("📋 ")
    assert receiver.forgeries == []


def test_one_rule_through_one_channel_is_its_whole_history(run: Run, receiver: Receiver) -> None:
    code, out, _ = run("alerts", "test", "--channel", "webhook", "--rule", "retry_storm")
    assert (code, out) == (0, "ok   webhook 7 messages taken\n")
    assert [post.body.get("transition") for post in receiver.posts] == [
        *("opened", "opened", "escalated", "acknowledged", "resolved", "restated"),
        None,
    ]


def test_two_tests_are_never_taken_for_the_same(run: Run, receiver: Receiver) -> None:
    for _ in range(2):
        run("alerts", "test", "--channel", "webhook", "--rule", "drift")
    taken = receiver.accepted("/hook")
    assert set(taken.values()) == {1}


def test_a_channel_that_refuses_is_named_with_what_to_check(run: Run, receiver: Receiver) -> None:
    receiver.answers["/hook"].extend([(200, {}), (404, {})])
    code, out, _ = run("alerts", "test", "--rule", "drift")
    assert code == 1
    good, bad = out.splitlines()
    assert good == "ok   slack   7 messages taken"
    assert bad == (
        "BAD  webhook 1 messages taken, then drift reminder: answered 404: no; check the "
        "receiver's address and that it knows the secret"
    )


def test_a_channel_that_is_busy_is_asked_again(run: Run, receiver: Receiver) -> None:
    receiver.answers["/hook"].append((429, {"Retry-After": "0"}))
    code, _, _ = run("alerts", "test", "--channel", "webhook", "--rule", "drift")
    assert code == 0
    assert receiver.refused("/hook") == 1


def test_a_channel_that_is_not_set_up_is_one_line_with_those_that_are(
    run: Run, receiver: Receiver
) -> None:
    code, _, err = run("alerts", "test", "--channel", "slak")
    assert code == 2
    assert err == "spendstream: --channel slak: there is no such channel; known: slack, webhook\n"


def test_no_channel_at_all_is_one_line_that_says_how_to_set_one_up(run: Run) -> None:
    code, _, err = run("alerts", "test")
    assert code == 2
    assert "no channel is set up; set SPENDSTREAM_SLACK_BOT_TOKEN" in err
    assert len(err.splitlines()) == 1


def test_a_preview_shows_messages_threads_and_charts(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, out, _ = run("alerts", "preview", "--out", str(page), "--rule", "budget")
    assert (code, out) == (0, f"{page}: open it in a browser\n")
    html = page.read_text("utf-8")
    assert "<h3>⚠️ Team search has used 81 % of its monthly budget</h3>" in html
    assert "▓▓▓▓▓▓▓▓░░ <b>81 %</b> · HK$12,180.04 of HK$15,000" in html
    assert html.count("data:image/png;base64,") == 1
    for said in ("Escalated: ", "Acknowledged by maria.chan: ", "Resolved: ", "Open again: "):
        assert said in html
    assert "⏰ Still open: " in html
    assert "📋 1 alert: " in html


def test_a_preview_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "missing" / "page.html"
    code, _, err = run("alerts", "preview", "--out", str(page), "--rule", "drift")
    assert code == 2
    assert err == (
        f"spendstream: {page}: No such file or directory; name a file that can be written\n"
    )
