"""Who may write, and for which teams."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.errors import UserError
from streams.cli.tokens import tokens as command
from streams.settings import load_settings
from streams.web.doorkeeper import LOOK_SECONDS, Doorkeeper, doorkeeper_of
from streams.web.refused import RequestRefused
from streams.web.tokens import entry, read_tokens, sha256
from tests.support.events import call
from tests.unit.web.conftest import Server

HASH = sha256("x")
PAGE_TOKEN = f"tokens:\n- name: a\n  sha256: {HASH}\n  scopes: [page]\n"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize(
    ("headers", "status", "code", "challenge"),
    [
        ({}, 401, "token_missing", "Bearer"),
        ({"Authorization": "Basic c3BzX2Np"}, 401, "token_missing", "Bearer"),
        ({"Authorization": "Bearer "}, 401, "token_missing", "Bearer"),
        (bearer("sps_other"), 401, "token_unknown", 'Bearer error="invalid_token"'),
        (bearer(sha256("sps_ci")), 401, "token_unknown", 'Bearer error="invalid_token"'),
        (bearer("sps_gate"), 403, "scope_missing", 'Bearer error="insufficient_scope"'),
    ],
)
async def test_who_has_no_token_for_it_writes_nothing(
    guarded: Server, headers: dict[str, str], status: int, code: str, challenge: str
):
    answered, body, sent = await guarded.post(call("1", "search", 1), headers=headers)
    assert (answered, body["code"]) == (status, code)
    assert sent["WWW-Authenticate"].startswith(challenge)
    assert guarded.kept.events == []


async def test_a_token_writes_for_its_teams_only(guarded: Server):
    teams = ["ads", "ads-eu", "search", "Ads", "xads"]
    events = [call(str(n), team, 1) for n, team in enumerate(teams)]
    status, body, _ = await guarded.post(events, headers=bearer("sps_ads"))
    assert status == 207
    assert [result.get("code") for result in body["results"]] == [
        *(None, None),
        *["forbidden_team"] * 3,
    ]
    assert [event.team for event in guarded.kept.events] == ["ads", "ads-eu"]
    assert "ads, ads-*" in body["results"][2]["error"]


async def test_a_token_of_one_team_writes_for_it_where_the_event_names_none(guarded: Server):
    bare = {k: v for k, v in call("1", "", 1).items() if k not in ("team", "provider")}
    named = call("2", "search", 1, environment="prod")
    status, body, _ = await guarded.post([bare, named], headers=bearer("sps_ci"))
    assert status == 202, body
    assert [(e.team, e.environment, e.provider) for e in guarded.kept.events] == [
        ("search", "ci", "own"),
        ("search", "prod", "own"),
    ]
    status, body, _ = await guarded.post(bare, headers=bearer("sps_ads"))
    assert (status, body["results"][0]["code"]) == (422, "missing_field")


def test_a_changed_file_is_in_force_within_a_second_and_a_wrong_one_never(
    tokens_file: Path, caplog: pytest.LogCaptureFixture
):
    now = 0.0
    keeper = Doorkeeper(tokens_file, clock=lambda: now)
    good = tokens_file.read_text()
    tokens_file.write_text("tokens: [{name: half")
    now += LOOK_SECONDS
    assert keeper.admit("Bearer sps_ci", "events").name == "ci"
    assert "the tokens in force stay" in caplog.text
    tokens_file.write_text(good.replace("name: ci", "name: renamed"))
    assert keeper.admit("Bearer sps_ci", "events").name == "ci", "it was looked at just now"
    now += LOOK_SECONDS
    assert keeper.admit("Bearer sps_ci", "events").name == "renamed"
    tokens_file.write_text("tokens: []\n")
    now += LOOK_SECONDS
    with pytest.raises(RequestRefused):
        keeper.admit("Bearer sps_ci", "events")


def test_a_file_that_is_replaced_by_one_as_long_and_as_old_is_seen(tokens_file: Path):
    now = 0.0
    keeper = Doorkeeper(tokens_file, clock=lambda: now)
    stat = tokens_file.stat()
    other = tokens_file.with_name("other.yaml")
    other.write_text(tokens_file.read_text().replace("name: ci", "name: cj"))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(tokens_file)
    now += LOOK_SECONDS
    assert keeper.admit("Bearer sps_ci", "events").name == "cj"


@pytest.mark.parametrize("host", ["::", "10.0.0.7", "spend.example.com"])
def test_where_others_reach_it_tokens_are_needed(host: str, tokens_file: Path):
    with pytest.raises(UserError, match=r"set SPENDSTREAM_TOKENS to a tokens file"):
        doorkeeper_of(load_settings(ingest_host=host))
    assert doorkeeper_of(load_settings(ingest_host=host, tokens=tokens_file)).demands_tokens


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_on_loopback_none_are_needed(host: str):
    assert not doorkeeper_of(load_settings(ingest_host=host)).demands_tokens


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "1: holds no tokens; expected a list under the key tokens"),
        ("token: []", "1: token: is no key of a tokens file; did you mean tokens?"),
        (
            "tokens:\n- name: a\n  sha256: sps_secret\n  teams: [x]",
            "3: tokens[0] (a).sha256: is no SHA-256; write its 64 hex digits, as `spendstream "
            "tokens new` does",
        ),
        (f"tokens:\n- name: a\n  sha256: {HASH}", "2: tokens[0] (a).teams: is missing"),
        (f"tokens:\n- name: a\n  sha256: {HASH}\n  teams: []", "4: tokens[0] (a).teams:"),
        (
            f"tokens:\n- name: a\n  sha256: {HASH}\n  teams: x\n  scopes: [event]",
            "5: tokens[0] (a).scopes[0]: is 'event'; expected",
        ),
        (
            f"tokens:\n- {{name: a, sha256: {HASH}, teams: x}}\n"
            f"- {{name: b, sha256: {HASH.upper()}, teams: y}}",
            "3: tokens[1] (b).sha256: is that of tokens[0] too",
        ),
        (
            f"tokens:\n- {{name: a, sha256: {HASH}, teams: x, defaults: {{team: y}}}}",
            "2: tokens[0] (a).defaults.team: 'y' is no team of this token",
        ),
        (
            f"tokens:\n- name: a\n  sha256: {HASH}\n  scopes: [page, traces]",
            '2: tokens[0] (a).teams: is missing; write for example `teams: [search, "ads-*"]`',
        ),
        (
            PAGE_TOKEN + "  teams: ads-*",
            "5: tokens[0] (a).teams: 'ads-*' is a pattern, which the page cannot show; say with",
        ),
        (
            PAGE_TOKEN + "  sees: {teams: [ads-*]}",
            "5: tokens[0] (a).sees.teams[0]: is 'ads-*', a pattern; write out the names",
        ),
        (PAGE_TOKEN + "  sees: {}", "5: tokens[0] (a).sees: names nobody; write for example"),
        (
            PAGE_TOKEN + "  sees: {department: risk}",
            "5: tokens[0] (a).sees.department: is no key of what a token sees; did you mean",
        ),
        (
            f"tokens:\n- name: a\n  sha256: {HASH}\n  teams: x\n  sees: {{teams: x}}",
            "5: tokens[0] (a).sees: is of no use without the scope page; add it to scopes",
        ),
    ],
)
def test_a_mistake_in_the_file_is_one_line_without_the_secret(tmp_path: Path, text: str, said: str):
    file = tmp_path / "tokens.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_tokens(file)
    assert str(caught.value).startswith(f"{file}:{said}")
    assert "sps_secret" not in str(caught.value)


def test_a_token_in_the_file_is_not_shown_by_its_model(tokens_file: Path):
    assert sha256("sps_ci") not in repr(read_tokens(tokens_file))


def test_the_lines_of_a_new_token_are_for_the_file_and_know_it(tmp_path: Path):
    file = tmp_path / "tokens.yaml"
    made = CliRunner().invoke(
        command,
        ["new", "--name", "it's: ci", "--team", "42", "--team", "ads-*", "--scope", "traces"],
        catch_exceptions=False,
    )
    assert made.exit_code == 0
    secret = made.stderr.splitlines()[0].rpartition(" ")[2]
    assert secret.startswith("sps_")
    assert len(secret) > 40
    assert secret not in made.stdout
    file.write_text(f"tokens:\n{made.stdout}")
    token = read_tokens(file).holder(secret)
    assert token is not None
    assert (token.name, token.teams, token.scopes) == ("it's: ci", ("42", "ads-*"), ("traces",))


def test_a_new_token_for_the_page_needs_no_team_and_keeps_what_it_sees(tmp_path: Path):
    seen = ("--sees-department", "risk", "--sees-team", "no")
    made = CliRunner().invoke(
        command, ["new", "--name", "ada", "--scope", "page", *seen], catch_exceptions=False
    )
    file = tmp_path / "tokens.yaml"
    file.write_text(f"tokens:\n{made.stdout}")
    (token,) = read_tokens(file).tokens
    assert token.sees is not None
    assert (token.sees.departments, token.sees.teams) == (("risk",), ("no",))
    none = CliRunner().invoke(command, ["new", "--name", "ci"])
    assert isinstance(none.exception, UserError)
    assert str(none.exception).startswith("--team: the scope events needs one")


def test_check_says_what_each_token_may_do(tokens_file: Path):
    said = CliRunner().invoke(command, ["check", str(tokens_file)], catch_exceptions=False)
    assert said.stdout.splitlines() == [
        "ci: may send events for search; sets where left out: provider own, environment ci, "
        "team search",
        "ads: may send events, traces for ads, ads-*",
        "gate: may send quota for *",
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "a: sees everything on the page"),
        ("  teams: ['*', x]\n", "everything on the page"),
        ("  teams: [x, y]\n", "a: sees team x, y on the page"),
        ("  sees: {departments: risk, teams: [x]}\n", "sees department risk and team x on"),
        ("  teams: '*'\n  sees: {teams: x}\n", "sees team x on the page"),
    ],
)
def test_check_says_what_a_token_for_the_page_sees(tmp_path: Path, lines: str, said: str):
    file = tmp_path / "tokens.yaml"
    file.write_text(PAGE_TOKEN + lines)
    output = CliRunner().invoke(command, ["check", str(file)], catch_exceptions=False).stdout
    assert said in output
    file.write_text(file.read_text().replace("[page]", "[page, acknowledge]"))
    output = CliRunner().invoke(command, ["check", str(file)], catch_exceptions=False).stdout
    assert output.endswith("on the page; may acknowledge alerts\n")


def test_two_tokens_are_never_the_same():
    lines = {entry("a", "1", ["x"], ["events"]), entry("a", "2", ["x"], ["events"])}
    assert len(lines) == 2


async def test_bytes_that_are_no_http_are_not_logged_with_the_token_in_them(
    guarded: Server, caplog: pytest.LogCaptureFixture
):
    port = int(guarded.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/events HTTP/1.1\r\nAuthorization: Bearer sps_ci\x00\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.0 400")
    writer.close()
    await writer.wait_closed()
    assert "sps_ci" not in caplog.text
