"""The table `prompts`: what the archive feeds into it, and who repeats a prompt in a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse
from streams.detectors.attempts import Scope, Tally, unix_minute
from streams.detectors.repeats import repeats
from streams.detectors.storm_rule import StormRule
from streams.landing.archive import archive_rows
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.support.records import Record

pytestmark = pytest.mark.slow

PRICE = 142_500_000
"""Of one of these calls, in pico-dollars."""
RULE = StormRule(min_calls=20, share_percent=50)
# What is older than 40 days is removed, by the clock on the wall.
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
BEFORE = NOW - timedelta(minutes=1)
Write = Callable[[Iterable[dict[str, Any]]], None]


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


@pytest.fixture
def write(clickhouse: ClickHouse, book: PriceBook) -> Write:
    """Archive these events; each call's offsets follow those of the one before."""
    archive = Archive(clickhouse, "this/llm.usage")
    rank = archive.register_source()
    offsets = iter(range(10**6))

    def written(events: Iterable[dict[str, Any]]) -> None:
        values = [encode(UsageEvent.model_validate(event)) for event in events]
        records = [Record(0, next(offsets), value) for value in values]
        decoded, refused = decoded_records(records, book, no_registry)
        assert not refused
        archive.write(archive_rows(decoded), [], rank)

    return written


def event(event_id: str, prompt: str | None = "same", **changes: Any) -> dict[str, Any]:
    """A call of the bot of team search with this prompt: 1,000 prompt tokens."""
    return {
        "event_id": event_id,
        "occurred_at": NOW,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "team": "search",
        "application": "bot",
        "usage_source": "reported",
        "input_tokens": 900,
        "cache_read_tokens": 100,
        "output_tokens": 0,
        "prompt_hash": prompt,
    } | changes


def calls(number: int, name: str = "c", **changes: Any) -> list[dict[str, Any]]:
    return [event(f"{name}{n}", **changes) for n in range(number)]


def found(clickhouse: ClickHouse) -> dict[Scope, int]:
    return {one.scope: one.repeated for one in repeats(clickhouse, BEFORE, NOW, RULE)}


def test_calls_with_a_prompt_hash_are_kept_and_no_others(clickhouse: ClickHouse, write: Write):
    write(
        [
            event("kept", use_case="asking", occurred_at=NOW + timedelta(seconds=59)),
            event("no hash", prompt=None),
            event("copy", shadow_of="kept"),
            event("unknown", model="no-such-model", application=None, usage_source="missing")
            | dict.fromkeys(("input_tokens", "cache_read_tokens", "output_tokens")),
        ]
    )
    write([event("void:kept", kind="void", voids="kept")])
    write([event("none at all", prompt=None)])
    rows = clickhouse.query("SELECT * FROM prompts ORDER BY event_id")
    naive = NOW.replace(tzinfo=None)
    assert [(row[0].replace(tzinfo=None), *row[1:]) for row in rows] == [
        (naive, "search", "bot", "asking", "openai", "gpt-4o-mini", "same", "kept", 1000,
         PRICE),
        (naive, "search", None, None, "openai", "no-such-model", "same", "unknown", None, None),
    ]  # fmt: skip


def test_what_is_archived_again_is_one_call(clickhouse: ClickHouse, write: Write):
    for _ in range(3):
        write(calls(20))
    assert found(clickhouse) == {Scope("search", "bot"): 19}
    clickhouse.command("OPTIMIZE TABLE prompts FINAL")
    assert clickhouse.query("SELECT count() FROM prompts") == [(20,)]
    write(calls(21))
    assert found(clickhouse) == {Scope("search", "bot"): 20}


def test_repeats_are_told_by_the_minute_with_what_they_took(clickhouse: ClickHouse, write: Write):
    write(calls(15, "early", occurred_at=BEFORE))
    write(calls(10, "late"))
    write(calls(5, "other", prompt="other"))
    write(calls(9, "old", occurred_at=BEFORE - timedelta(minutes=1)))
    (one,) = repeats(clickhouse, BEFORE, NOW, RULE)
    assert one.scope == Scope("search", "bot")
    assert one.minutes == {
        unix_minute(BEFORE): Tally(14, 14 * PRICE, 14_000),
        unix_minute(NOW): Tally(14, 14 * PRICE, 14_000),
    }
    assert (one.calls, one.repeated) == (30, 28)
    assert (one.prompt, one.prompt_calls) == ("same", 25)
    assert (one.provider, one.model) == ("openai", "gpt-4o-mini")


def test_teams_and_applications_repeat_each_their_own(clickhouse: ClickHouse, write: Write):
    write(calls(15, "a"))
    write(calls(15, "b", team="other"))
    write(calls(21, "none", application=None))
    write(calls(21, "empty", application="", model="no-such-model"))
    # A prompt that is a small part of the calls is no loop.
    write(calls(21, "busy", team="busy"))
    write(event(f"u{n}", prompt=f"p{n}", team="busy") for n in range(22))
    unknown, known = sorted(repeats(clickhouse, BEFORE, NOW, RULE), key=lambda one: one.model)[::-1]
    assert (unknown.scope, known.scope) == (Scope("search", ""), Scope("search", None))
    assert unknown.minutes == {unix_minute(NOW): Tally(20, None, 20_000)}
    assert known.minutes == {unix_minute(NOW): Tally(20, 20 * PRICE, 20_000)}
    write([event("one more", team="busy")])
    assert found(clickhouse)[Scope("busy", "bot")] == 21
