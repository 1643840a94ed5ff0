"""Dead letters sent again on a real broker: each once, wherever a run is cut off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from schemas.dead_letters import Action, Letter
from schemas.topics import DEAD_LETTER_HEADER, USAGE
from schemas.wire import no_registry
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse, ClickHouseUnavailable
from sinks.dead_letters import DeadLetters
from streams.dead_letters.edit import Edit, parse_edit
from streams.dead_letters.log import UsageLog, usage_log
from streams.dead_letters.verdict import Judge
from streams.dead_letters.workflow import Operator, Outcome, Workflow, sha256
from streams.kafka import cluster_id, consumer, end_offsets
from streams.rating.pricebook import PriceBook
from streams.settings import Settings
from tests.support.events import call
from tests.support.stores import publish_usage, running_stores

pytestmark = pytest.mark.slow

PARTITIONS = 2
FIX = parse_edit(["team=search"])


class CutOff(DeadLetters):
    """ClickHouse goes away between the broker's answer and the line that records it."""

    def act(self, actions: Sequence[Action]) -> None:
        if any(action.action == "replayed" for action in actions):
            raise ClickHouseUnavailable("cut off")
        super().act(actions)


class Desk:
    """Letters, and what a run of the workflow makes of them."""

    def __init__(self, settings: Settings, connection: ClickHouse, source: str) -> None:
        self.settings = settings
        self.source = source
        self.tables = DeadLetters(connection)
        self.cut_off = CutOff(connection)
        self._archive = Archive(connection, source)

    def land(
        self, *offsets: int, partition: int = 1, source: str = "", **changes: object
    ) -> list[str]:
        """Letters of events without a team; their ids."""
        letters = [
            Letter(
                source or self.source,
                partition,
                offset,
                b"key",
                json.dumps({**call(f"e{offset}", "", 7), "team": None, **changes}).encode(),
                (("trace", b"\xff"), (DEAD_LETTER_HEADER, b"of an earlier one")),
                None,
                "missing_field",
                "team is required",
            )
            for offset in offsets
        ]
        self.tables.record(letters)
        return [letter.letter for letter in letters]

    async def replay(
        self,
        ids: Sequence[str],
        edit: Edit = FIX,
        tables: DeadLetters | None = None,
        dry_run: bool = False,
        note: str = "",
    ) -> list[Outcome]:
        judge = Judge(PriceBook.load(None), no_registry, self._archive.places_of)
        entries = self.tables.entries_of(ids)
        async with usage_log(self.settings) as log:
            workflow = Workflow(tables or self.tables, log, Operator("ann@host", note))
            return [o async for o in workflow.replay(entries, edit, judge, dry_run)]

    async def drop(self, ids: Sequence[str]) -> list[Outcome]:
        async with usage_log(self.settings) as log:
            workflow = Workflow(self.tables, log, Operator("bob@host", "a load test"))
            return [o async for o in workflow.drop(self.tables.entries_of(ids))]

    async def log(self) -> list[ConsumerRecord]:
        """Everything in the usage topic."""
        reader = consumer(self.settings)
        await reader.start()
        try:
            partitions = [TopicPartition(USAGE, p) for p in range(PARTITIONS)]
            reader.assign(partitions)
            ends = await end_offsets(reader, partitions)
            await reader.seek_to_beginning(*partitions)
            found: list[ConsumerRecord] = []
            while len(found) < sum(ends.values()):
                for records in (await reader.getmany(timeout_ms=200)).values():
                    found += records
            return found
        finally:
            await reader.stop()

    def trail(self, letter: str) -> list[str]:
        return [action.action for action in self.tables.history([letter]).get(letter, [])]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with running_stores(tmp_path, usage_partitions=PARTITIONS) as settings:
        connection = ClickHouse(settings.clickhouse)
        try:
            yield Desk(settings, connection, f"{await cluster_id(settings)}/{USAGE}")
        finally:
            connection.close()


def results(outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {outcome.letter: outcome.result for outcome in outcomes}


async def test_a_letter_is_sent_to_its_partition_with_key_and_headers_and_only_once(desk):
    await publish_usage(desk.settings, [b"before"] * 3, partition=1)
    (letter,) = desk.land(40)

    (would,) = await desk.replay([letter], dry_run=True)
    assert (would.result, would.partition, desk.trail(letter)) == ("would be sent", 1, [])

    (sent,) = await desk.replay([letter], note="typo")
    assert (sent.result, sent.partition, sent.offset) == ("sent", 1, 3)
    *_, record = await desk.log()
    assert (record.partition, record.offset, record.key) == (1, 3, b"key")
    assert record.headers == (("trace", b"\xff"), (DEAD_LETTER_HEADER, letter.encode()))
    assert json.loads(record.value) == call("e40", "search", 7)
    replaying, replayed = desk.tables.history([letter])[letter]
    assert (replaying.action, replaying.offset) == ("replaying", 3)
    assert (replayed.action, replayed.offset, replayed.partition) == ("replayed", 3, 1)
    assert replayed.at > replaying.at
    for action in (replaying, replayed):
        assert (action.who, action.note, action.edited) == ("ann@host", "typo", True)
        assert (action.sha256, action.source) == (sha256(record.value), desk.source)

    (again,) = await desk.replay([letter])
    assert again.result == "not sent"
    assert "replayed at" in again.why
    assert "by ann@host (typo)" in again.why
    assert len(await desk.log()) == 4


async def test_a_run_that_is_cut_off_after_the_broker_has_it_sends_nothing_twice(desk):
    letters = desk.land(0, 1, 2)
    with pytest.raises(ClickHouseUnavailable):
        await desk.replay(letters[:2], tables=desk.cut_off)
    assert [desk.trail(letter) for letter in letters] == [["replaying"], ["replaying"], []]
    assert [e.status for e in desk.tables.entries_of(letters)] == ["open"] * 3
    await publish_usage(desk.settings, [b"meanwhile"] * 5, partition=1)

    outcomes = await desk.replay(letters, note="again")
    assert results(outcomes) == dict(
        zip(letters, ["sent before", "sent before", "sent"], strict=True)
    )
    assert [outcome.offset for outcome in outcomes[:2]] == [0, 1]
    sent = [r for r in await desk.log() if r.value != b"meanwhile"]
    assert [json.loads(r.value)["event_id"] for r in sent] == ["e0", "e1", "e2"]
    assert [e.status for e in desk.tables.entries_of(letters)] == ["replayed"] * 3
    _, found = desk.tables.history(letters)[letters[0]]
    assert (found.offset, found.sha256, found.note) == (0, sha256(sent[0].value), "again")


async def test_a_run_that_is_cut_off_before_the_broker_has_it_is_sent_by_the_next(
    desk, monkeypatch
):
    (letter,) = desk.land(0)

    async def killed(*_: object) -> int:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(UsageLog, "send", killed)
        with pytest.raises(RuntimeError):
            await desk.replay([letter])
    assert desk.trail(letter) == ["replaying"]
    assert results(await desk.replay([letter])) == {letter: "sent"}
    assert desk.trail(letter) == ["replaying", "replaying", "replayed"]
    assert len(await desk.log()) == 1


async def test_a_letter_that_was_sent_by_a_run_that_was_cut_off_cannot_be_dropped(desk):
    sent, never = desk.land(0, 1)
    with pytest.raises(ClickHouseUnavailable):
        await desk.replay([sent], tables=desk.cut_off)
    assert results(await desk.drop([sent, never])) == {sent: "not dropped", never: "dropped"}
    assert [e.status for e in desk.tables.entries_of([sent, never])] == ["replayed", "dropped"]

    (refused,) = await desk.replay([never])
    assert "dropped at" in refused.why
    assert "bob@host (a load test)" in refused.why
    assert results(await desk.drop([never])) == {never: "not dropped"}
    assert len(await desk.log()) == 1


async def test_letters_of_another_cluster_go_to_a_partition_that_is_there(desk):
    letters = desk.land(7, source="gone/llm.usage", partition=5)
    desk.tables.act(
        # That log is gone: what was begun there cannot be looked for here.
        [
            Action(
                letters[0],
                "replaying",
                datetime.now(UTC),
                "ann@host",
                source="gone/llm.usage",
                partition=5,
            )
        ]
    )
    (sent,) = await desk.replay(letters)
    assert (sent.result, sent.partition, sent.offset) == ("sent", 5 % PARTITIONS, 0)


async def test_what_is_refused_or_cannot_be_taken_is_left_open_and_the_others_are_sent(desk):
    small, refused, huge = desk.land(0), desk.land(1, colour="blue"), desk.land(2)
    outcomes = await desk.replay([*small, *refused], FIX)
    assert results(outcomes) == {small[0]: "sent", refused[0]: "not sent"}
    assert "unknown_field" in outcomes[0].why

    # The broker's own limit lies below what the meter would take.
    tags = json.dumps({f"t{n}": "x" * 1000 for n in range(200)})
    async with usage_log(desk.settings) as log:
        log._producer._max_request_size = 1000
        judge = Judge(PriceBook.load(None), no_registry, lambda ids: {})
        workflow = Workflow(desk.tables, log, Operator("ann@host"))
        entries = desk.tables.entries_of(huge)
        edit = parse_edit(["team=search", f"tags={tags}"])
        (outcome,) = [o async for o in workflow.replay(entries, edit, judge)]
    assert (outcome.result, desk.trail(huge[0])) == ("not sent", ["replaying"])
    assert "MessageSizeTooLargeError" in outcome.why
    assert results(await desk.replay(huge)) == {huge[0]: "sent"}
    assert len(await desk.log()) == 2
