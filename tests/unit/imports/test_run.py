from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.cli.main import main
from streams.imports.attribution import parse_map
from streams.imports.sources import SOURCES
from tests.unit.imports.reading import SAMPLES, imported

FILES = {
    "litellm": "litellm.csv",
    "openai-usage": "openai_usage.json",
    "openai-costs": "openai_costs.json",
    "anthropic-usage": "anthropic_usage.jsonl",
    "langfuse": "langfuse.jsonl",
    "openmeter": "openmeter.json",
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_the_archive_knows_is_not_sent_again(source):
    first = imported(FILES[source], source, team="x")
    again = imported(FILES[source], source, team="x", known=first.archive())
    assert first.events
    assert again.events == []
    assert (again.tally.known, again.tally.tokens) == (first.tally.sent, first.tally.tokens)
    assert again.reasons == first.reasons


@pytest.mark.parametrize("source", SOURCES)
def test_an_export_that_was_cut_off_is_completed(source):
    first = imported(FILES[source], source, team="x")
    some = dict(list(first.archive().items())[::2])
    rest = imported(FILES[source], source, team="x", known=some)
    assert {e.event_id for e in rest.events} == first.archive().keys() - some.keys()


def test_a_file_that_holds_a_row_twice_counts_it_once(tmp_path: Path):
    lines = (SAMPLES / "litellm.csv").read_text()
    (tmp_path / "twice.csv").write_text(lines + lines.partition("\n")[2])
    found = imported(tmp_path / "twice.csv", "litellm")
    assert (found.tally.sent, found.tally.known) == (4, 4)


def test_a_bucket_that_has_grown_since_is_told_and_none_of_it_is_sent():
    first = imported("anthropic_usage.jsonl", "anthropic-usage", team="x")
    name, (tokens, cost) = next(iter(first.archive().items()))
    less = (tuple(count and count - 1 for count in tokens), cost)
    found = imported("anthropic_usage.jsonl", "anthropic-usage", team="x", known={name: less})
    assert found.reasons == {"changed": 1}
    assert not {e.event_id for e in found.events} & {
        e.event_id for e in first.events if e.event_id.startswith(name.rpartition("/")[0])
    }


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("other", SOURCES)
def test_another_sources_file_is_one_line_that_says_what_it_is(source, other):
    if source == other:
        return
    with pytest.raises(UserError) as error:
        imported(FILES[other], source)
    assert str(error.value).endswith(f"import it with --from {other}")


def test_a_file_of_no_source_shows_what_it_has():
    with pytest.raises(
        UserError, match="has TIMESTAMP, ContextTokens, GeneratedTokens; litellm is"
    ):
        imported(Path("..") / "azure_sample.csv", "litellm")


def test_a_row_of_another_shape_among_the_right_ones_is_a_reject(tmp_path: Path):
    bucket = json.loads((SAMPLES / "openai_usage.json").read_text())["data"][0]
    path = tmp_path / "mixed.jsonl"
    path.write_text(f'{json.dumps(bucket)}\n{{"weather": "fine"}}\n')
    assert imported(path, "openai-usage").reasons == {"unknown_shape": 1}


def test_mapped_fields_go_before_the_rows_own():
    found = imported(
        "litellm.csv",
        "litellm",
        pairs=["metadata.user_api_key_alias=application", "user=team", "call_type=use_case"],
    )
    assert (found.events[0].team, found.events[0].application) == ("ann", "search-prod")
    assert {e.use_case for e in found.events} == {"acompletion"}
    assert found.events[1].team == "t-2"


def test_a_team_is_given_to_rows_that_have_none():
    found = imported("litellm.csv", "litellm", team="rest")
    assert found.by_id()["litellm:chatcmpl-lost1"].team == "rest"
    assert found.events[0].team == "search"


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("project_id", "write it as KEY=FIELD"),
        ("project_id=teem", "did you mean team?"),
        ("project=team", "openai-usage has no project: did you mean project_id?"),
        ("weather=team", "openai-usage has no weather: known are project_id,"),
    ],
)
def test_a_wrong_map_says_what_would_be_right(pair, said):
    with pytest.raises(UserError) as error:
        parse_map([pair], SOURCES["openai-usage"])
    assert said in str(error.value)


def test_a_field_is_mapped_once():
    with pytest.raises(UserError, match="map it once"):
        parse_map(["model=team", "user_id=team"], SOURCES["openai-usage"])


def test_an_event_from_the_future_is_not_sent(tmp_path: Path):
    row = {"request_id": "r", "model": "gpt-4o", "team_id": "t", "total_tokens": 1}
    times = {"startTime": "2099-01-01T00:00:00", "endTime": "2099-01-01T00:00:01"}
    path = tmp_path / "future.json"
    path.write_text(json.dumps([row | times | {"prompt_tokens": 1}]))
    assert imported(path, "litellm").reasons == {"time_in_future": 1}


def test_the_command_tells_a_summary_and_lists_the_rejects(tmp_path, capsys):
    rejects = tmp_path / "rejects.jsonl"
    command = ["import", str(SAMPLES / "litellm.csv"), "--from", "litellm", "--dry-run"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--rejects", str(rejects)])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "6 rows, 4 events, 2026-11-02 09:00 to 2026-11-02 09:03 UTC" in told
    assert "5,470 tokens; the source says $0.002498" in told
    assert "1 no_team (line 6)" in told
    listed = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(r["line"], r["reason"]) for r in listed] == [(6, "no_team"), (7, "invalid_field")]
    assert listed[1]["original"]["total_tokens"] == "many"
    with pytest.raises(SystemExit) as ended:
        main([*command, "--json", "--allow-rejects"])
    assert ended.value.code == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["events"], summary["provider_cost_usd"]) == (4, "0.002498")
    assert summary["rejected"]["no_team"]["first"] == [6]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["postgresql://u:secret@h/db", "--from", "langfuse"], "is read for litellm only"),
        (["x.csv", "--from", "litellm", "--team", " "], "--team is empty"),
        (["x.csv", "--from", "litelm"], "litelm"),
    ],
)
def test_a_users_mistake_is_one_line_without_secrets(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["import", *arguments])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "secret" not in told
    assert told.count("\n") == 1
