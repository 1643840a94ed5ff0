import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from schemas.batch import decode_batch
from schemas.errors import InvalidEvent, UserError
from schemas.usage import UsageEvent
from schemas.wire import decode
from streams.traffic.records import Record
from streams.traffic.roster import load_roster
from streams.traffic.traces import read_trace, record_count

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
SHARED = ROOT.parent / "shared" / "data"
AZURE, MOONCAKE = SHARED / "azure_llm_2023_conv.csv", SHARED / "mooncake_conversation.jsonl"
ROSTER = load_roster()


def replayed(name: str, trace_format: str) -> list[Record]:
    return list(read_trace(DATA / name, trace_format, ROSTER))


def events(name: str, trace_format: str) -> list[UsageEvent]:
    return [decode(record.value) for record in replayed(name, trace_format)]


def test_azure_rows_become_events_with_their_tokens_and_times() -> None:
    found = events("azure_sample.csv", "azure-trace")
    assert [(e.input_tokens, e.output_tokens) for e in found] == [
        (100, 10),
        (200, 20),
        (0, 0),
        (3000, 5),
    ]
    assert found[0].occurred_at == datetime(2023, 11, 16, 18, 0, 0, 0, UTC), "cut off, not rounded"
    assert found[1].occurred_at == datetime(2023, 11, 16, 18, 0, 1, 234567, UTC)
    assert found[3].occurred_at == datetime(2024, 5, 10, 0, 0, 3, 250000, UTC)


@pytest.mark.parametrize(
    ("name", "trace_format"),
    [("azure_sample.csv", "azure-trace"), ("mooncake_sample.jsonl", "mooncake")],
)
def test_names_time_and_key_of_a_record_are_its_events(name: str, trace_format: str) -> None:
    for row, record in enumerate(replayed(name, trace_format), start=1):
        event, who = decode(record.value), ROSTER.assign(row)
        assert record.at == event.occurred_at
        assert record.key == event.team.encode()
        assert (event.team, event.department, event.user) == (who.team, who.department, who.user)
        assert (event.provider, event.model) == (who.provider, who.model)
        assert (event.application, event.use_case) == (who.application, who.use_case)
        assert event.environment == who.environment
        assert event.usage_source == "reported"
        assert event.event_id.startswith(f"{trace_format}:")
        assert event.event_id.endswith(f":{row}")


def test_mooncake_cache_reads_are_the_known_prefix_without_the_last_token() -> None:
    found = events("mooncake_sample.jsonl", "mooncake")
    assert [(e.cache_read_tokens, e.input_tokens) for e in found] == [
        (0, 1100),  # nothing is known yet
        (1024, 476),  # two leading blocks are
        (1099, 1),  # all are, the last of them partly filled
        (0, 1000),  # known blocks, but never at the start of a prompt
        (511, 1),  # a whole block, to its last token
    ]
    assert [e.output_tokens for e in found] == [10, 20, 30, 40, 50]


def test_mooncake_times_count_from_a_fixed_start_unless_one_is_given() -> None:
    default = replayed("mooncake_sample.jsonl", "mooncake")
    assert [r.at for r in default[:2]] == [
        datetime(2026, 1, 5, tzinfo=UTC),
        datetime(2026, 1, 5, 0, 0, 0, 250000, UTC),
    ]
    start = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    moved = list(read_trace(DATA / "mooncake_sample.jsonl", "mooncake", ROSTER, start))
    assert moved[0].at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert decode(moved[0].value).occurred_at == moved[0].at


def test_jsonl_lines_pass_through_unchanged_even_the_bad_ones() -> None:
    found = replayed("usage_sample.jsonl", "jsonl")
    lines = (DATA / "usage_sample.jsonl").read_bytes().split(b"\n")
    assert [r.value for r in found] == [line for line in lines if line.strip()]
    assert [r.key for r in found] == [b"north", b"south", b"", b"", b""]
    assert [r.at for r in found] == [
        datetime(2026, 11, 1, 12, tzinfo=UTC),
        datetime(2026, 11, 1, 12, 0, 1, tzinfo=UTC),
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("name", "trace_format"),
    [("azure_sample.csv", "azure-trace"), ("mooncake_sample.jsonl", "mooncake")],
)
def test_a_file_replayed_from_another_path_gives_the_same_records(
    name: str, trace_format: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes((DATA / name).read_bytes())
    assert list(read_trace(copy, trace_format, load_roster())) == replayed(name, trace_format)


def test_another_file_gives_other_event_ids(tmp_path: Path) -> None:
    other = tmp_path / "azure_sample.csv"
    other.write_bytes((DATA / "azure_sample.csv").read_bytes().replace(b",100,", b",101,"))
    ids = {decode(r.value).event_id for r in read_trace(other, "azure-trace", ROSTER)}
    assert ids.isdisjoint(e.event_id for e in events("azure_sample.csv", "azure-trace"))


def test_the_number_of_records_is_known_before_they_are_read() -> None:
    for name, trace_format in [
        ("azure_sample.csv", "azure-trace"),
        ("mooncake_sample.jsonl", "mooncake"),
        ("usage_sample.jsonl", "jsonl"),
    ]:
        assert record_count(DATA / name, trace_format) == len(replayed(name, trace_format))


HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
GOOD = "2023-11-16 18:00:00,1,2\n"


def mooncake(**changes: object) -> str:
    return json.dumps(
        {"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [0]} | changes
    )


@pytest.mark.parametrize(
    ("trace_format", "text", "message"),
    [
        ("azure-trace", "", "trace: the file starts empty; give a trace"),
        ("azure-trace", "a,b\n", "trace:1: the header is 'a,b'; azure-trace starts with TIMEST"),
        ("azure-trace", HEADER + "\n" + GOOD + "x,1\n", "trace:4: has 2 columns; TIMESTAMP"),
        ("azure-trace", HEADER + "noon,1,2\n", "trace:2: TIMESTAMP is 'noon'; UTC such as 2023"),
        ("azure-trace", HEADER + "1970-01-01,1,2\n", "trace:2: the time is 1970-01-01; 2000 to"),
        (
            "azure-trace",
            HEADER + "0001-01-01 00:00+05:00,1,2\n",
            "trace:2: TIMESTAMP is '0001-01-01 00:00+05:00'; UTC",
        ),
        ("azure-trace", HEADER + "2023-11-16,-1,2\n", "trace:2: ContextTokens is '-1'; a whole"),
        ("azure-trace", HEADER + "2023-11-16,1,\n", "trace:2: GeneratedTokens is ''; a whole"),
        ("azure-trace", HEADER + "2023-11-16,1,1_0\n", "trace:2: GeneratedTokens is '1_0'; a whol"),
        ("azure-trace", HEADER + "2023-11-16,1000000000,1\n", "one call may have 1000000000"),
        ("azure-trace", HEADER + "2023-11-16,\udcff,1\n", "trace:2: is not UTF-8 text; unpack"),
        ("mooncake", "{", "trace:1: not JSON; mooncake has lines such as {"),
        ("mooncake", "[1]", "trace:1: not a JSON object; mooncake has lines such as {"),
        ("mooncake", mooncake() + "\n{}", "trace:2: timestamp is not there; a whole number"),
        ("mooncake", mooncake(timestamp=1.5), "trace:1: timestamp is 1.5; a whole number"),
        ("mooncake", mooncake(timestamp=3 * 10**12), "trace:1: the time is 2121-"),
        ("mooncake", mooncake(timestamp=10**14), "trace:1: timestamp is 100000000000000; a who"),
        ("mooncake", mooncake(input_length=True), "trace:1: input_length is True; a whole"),
        ("mooncake", mooncake(output_length=-1), "trace:1: output_length is -1; a whole"),
        ("mooncake", mooncake(hash_ids="0"), "trace:1: hash_ids is '0'; a list of whole"),
        ("mooncake", mooncake(hash_ids=[1, None]), "trace:1: hash_ids is [1, None]; a list"),
        ("excel", GOOD, "format is 'excel'; azure-trace, mooncake, jsonl are known"),
    ],
)
def test_a_wrong_trace_is_one_line_with_file_and_line(
    trace_format: str, text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "trace"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError) as raised:
        list(read_trace(path, trace_format, ROSTER))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_wrong_file_or_start_is_told_before_the_first_record(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv: No such file or directory; give a readable"):
        read_trace(tmp_path / "none.csv", "azure-trace", ROSTER)
    with pytest.raises(UserError, match=r"Is a directory; give a readable trace file"):
        read_trace(tmp_path, "jsonl", ROSTER)
    with pytest.raises(UserError, match="without a zone; write it as 2026-01-05T00:00:00Z"):
        read_trace(DATA / "mooncake_sample.jsonl", "mooncake", ROSTER, datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


@pytest.mark.skipif(not AZURE.exists(), reason="the shared traces are not here")
def test_the_azure_trace_is_metered_to_the_last_token() -> None:
    values = [record.value for record in read_trace(AZURE, "azure-trace", ROSTER)]
    decoded = decode_batch(values)
    assert decoded.refusals == {}
    assert decoded.events.height == 19_366 == decoded.events["event_id"].n_unique()
    assert decoded.events["input_tokens"].sum() == 22_361_870
    assert decoded.events["output_tokens"].sum() == 4_088_665
    assert decoded.events["cache_read_tokens"].null_count() == 19_366, "unknown, not zero"


@pytest.mark.slow
@pytest.mark.skipif(not MOONCAKE.exists(), reason="the shared traces are not here")
def test_the_mooncake_trace_is_metered_to_the_last_token() -> None:
    prompt = answer = cached = 0
    seen: set[bytes] = set()
    for line in MOONCAKE.read_text().splitlines():
        row = json.loads(line)
        prompt += row["input_length"]
        answer += row["output_length"]
        known, prefix, leading = 0, hashlib.sha1(usedforsecurity=False), True
        for block in row["hash_ids"]:
            prefix.update(b"%d," % block)
            leading = leading and prefix.digest() in seen
            known += leading
            seen.add(prefix.digest())
        cached += min(512 * known, row["input_length"] - 1)

    decoded = decode_batch([r.value for r in read_trace(MOONCAKE, "mooncake", ROSTER)])
    assert decoded.refusals == {}
    assert decoded.events.height == 12_031 == decoded.events["event_id"].n_unique()
    assert decoded.events["cache_read_tokens"].sum() == cached > 0
    assert decoded.events["input_tokens"].sum() == prompt - cached
    assert decoded.events["output_tokens"].sum() == answer


def test_bad_jsonl_lines_are_left_for_the_meter_to_refuse() -> None:
    refused = 0
    for record in replayed("usage_sample.jsonl", "jsonl"):
        try:
            decode(record.value)
        except InvalidEvent:
            refused += 1
    assert refused == 3
