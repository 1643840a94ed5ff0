"""Sending letters again, each once, and dropping letters; every step in the audit trail.

A letter is sent between two lines of its trail: *replaying*, with the offset at which the partition
ended before, and *replayed*, with the offset that it got. Where the second line is missing, the
next run looks in the log from the noted offset on, and sends only what is not there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from aiokafka.errors import KafkaError

from schemas.dead_letters import Action
from sinks.dead_letters import DeadLetters, Entry
from streams.dead_letters.edit import Edit
from streams.dead_letters.log import UsageLog
from streams.dead_letters.verdict import Judge, Verdict

AT_ONCE = 500
BYTES_AT_ONCE = 16_777_216
"""Letters that are held, judged and sent together, and their values in bytes."""

Result = Literal["sent", "sent before", "would be sent", "not sent", "dropped", "not dropped"]
FAILED: frozenset[Result] = frozenset({"not sent", "not dropped"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter. ``partition`` and ``offset``: where its event stands now."""

    letter: str
    result: Result
    why: str = ""
    partition: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, and what they say about it."""

    who: str
    note: str = ""

    def act(self, like: Action) -> Action:
        """The same action, done by this one now."""
        return replace(like, at=datetime.now(UTC), who=self.who, note=self.note or like.note)


class Workflow:
    """What can be done about letters. An open `UsageLog`; ClickHouse is asked in threads."""

    def __init__(self, tables: DeadLetters, log: UsageLog, operator: Operator) -> None:
        self._tables = tables
        self._log = log
        self._operator = operator

    async def replay(
        self, entries: Sequence[Entry], edit: Edit, judge: Judge, dry_run: bool = False
    ) -> AsyncIterator[Outcome]:
        """Send what the meter would take now; a dry run only says so.

        Raises KafkaError and ClickHouseError.
        """
        for some in _together(entries):
            for entry in some:
                if entry.status != "open":
                    yield Outcome(entry.letter, "not sent", _done(entry))
            unsent = [entry for entry in some if entry.status == "open"]
            settled = await self._settle(unsent, write=not dry_run)
            for outcome in settled.values():
                yield outcome
            ids = [entry.letter for entry in unsent if entry.letter not in settled]
            letters = await asyncio.to_thread(self._tables.letters, ids)
            verdicts = await asyncio.to_thread(judge.judge, [letters[i] for i in ids], edit)
            for verdict in verdicts:
                if verdict.against:
                    yield Outcome(verdict.letter.letter, "not sent", verdict.against)
                elif dry_run:
                    partition = self._log.partition_for(verdict.letter)
                    yield Outcome(verdict.letter.letter, "would be sent", partition=partition)
            if not dry_run:
                for outcome in await self._send([v for v in verdicts if not v.against]):
                    yield outcome

    async def drop(self, entries: Sequence[Entry]) -> AsyncIterator[Outcome]:
        """Mark letters as dropped; they stay where they are."""
        for some in _together(entries):
            for entry in some:
                if entry.status != "open":
                    yield Outcome(entry.letter, "not dropped", _done(entry))
            unsent = [entry for entry in some if entry.status == "open"]
            settled = await self._settle(unsent, write=True)
            for outcome in settled.values():
                yield replace(outcome, result="not dropped", why="it was sent before")
            ids = [entry.letter for entry in unsent if entry.letter not in settled]
            await self._act([Action(i, "dropped", datetime.now(UTC), "") for i in ids])
            for i in ids:
                yield Outcome(i, "dropped")

    async def _settle(self, entries: Sequence[Entry], *, write: bool) -> dict[str, Outcome]:
        """Letters that an earlier run has sent without getting to say so, from the log."""
        begun = [entry.letter for entry in entries if entry.action == "replaying"]
        history = await asyncio.to_thread(self._tables.history, begun)
        attempts: dict[str, Action] = {}
        begin: dict[int, int] = {}
        for letter, actions in history.items():
            for action in actions:
                if action.source != self._log.source or action.partition is None:
                    continue  # another cluster's log: there is nothing to look into
                attempts[letter] = action
                offset = action.offset or 0
                begin[action.partition] = min(offset, begin.get(action.partition, offset))
        found = await self._log.find(list(attempts), begin)
        if write:
            await self._act(
                [
                    replace(attempts[i], action="replayed", partition=partition, offset=offset)
                    for i, (partition, offset) in found.items()
                ]
            )
        return {
            i: Outcome(i, "sent before", "by a run that was cut off", partition, offset)
            for i, (partition, offset) in found.items()
        }

    async def _send(self, verdicts: Sequence[Verdict]) -> list[Outcome]:
        if not verdicts:
            return []
        ends = await self._log.ends()
        attempts = [self._attempt(verdict, ends) for verdict in verdicts]
        await self._act(attempts)
        sent = await asyncio.gather(
            *(self._log.send(verdict.letter, verdict.value) for verdict in verdicts),
            return_exceptions=True,
        )
        outcomes, done = [], []
        for attempt, offset in zip(attempts, sent, strict=True):
            if isinstance(offset, KafkaError):
                why = f"the broker did not take it ({type(offset).__name__}); run this again"
                outcomes.append(Outcome(attempt.letter, "not sent", why))
            elif isinstance(offset, BaseException):
                raise offset
            else:
                done.append(replace(attempt, action="replayed", offset=offset))
                place = attempt.partition, offset
                outcomes.append(Outcome(attempt.letter, "sent", "", *place))
        await self._act(done)
        return outcomes

    def _attempt(self, verdict: Verdict, ends: dict[int, int]) -> Action:
        partition = self._log.partition_for(verdict.letter)
        return Action(
            letter=verdict.letter.letter,
            action="replaying",
            at=datetime.now(UTC),
            who=self._operator.who,
            sha256=sha256(verdict.value),
            edited=verdict.edited,
            source=self._log.source,
            partition=partition,
            offset=ends[partition],
        )

    async def _act(self, actions: Sequence[Action]) -> None:
        await asyncio.to_thread(self._tables.act, [self._operator.act(a) for a in actions])


def sha256(value: bytes | None) -> str:
    """Hexadecimal SHA-256 of a value; empty where there is none."""
    return "" if value is None else hashlib.sha256(value).hexdigest()


def _done(entry: Entry) -> str:
    at = f"{entry.at:%Y-%m-%d %H:%M:%S} UTC" if entry.at else "an unknown time"
    note = f" ({entry.note})" if entry.note else ""
    return f"it was {entry.status} at {at} by {entry.who}{note}"


def _together(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries in runs that fit into memory."""
    some: list[Entry] = []
    size = 0
    for entry in entries:
        if some and (len(some) == AT_ONCE or size + (entry.size or 0) > BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(entry)
        size += entry.size or 0
    if some:
        yield some
