"""The law of compare-and-append, over crashes, zombies, late appends and repeated deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from schemas.journal import Range, SourcePartition
from streams.journal.fence import Fence, Mark
from tests.support.journal_model import PARTITIONS, ModelEntry, ModelMeter, Reader, World

METERS = (0, 1, 2)
READERS = (0, 1)
MOST_TURNS = 1000
"""A run that is not quiet after so many turns never will be."""

partitions = st.sampled_from(PARTITIONS)
subsets = st.sets(partitions, min_size=1)
meters = st.sampled_from(METERS)
fractions = st.floats(0, 1)
ways = st.sampled_from(["commits", "ledger", "beginning"])


class Journal(RuleBasedStateMachine):
    fence: ClassVar[type[Fence]] = Fence

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.fence)
        self.meters: dict[int, ModelMeter] = {}
        self.readers: dict[int, Reader] = {}
        self.in_flight: list[ModelEntry] = []

    @rule(partition=partitions, holes=st.lists(st.integers(0, 2), min_size=1, max_size=6))
    def events_are_published(self, partition: int, holes: Sequence[int]) -> None:
        for hole in holes:
            self.world.logs[partition].append(hole)

    @rule(partition=partitions, share=fractions)
    def retention_removes_events(self, partition: int, share: float) -> None:
        log = self.world.logs[partition]
        log.beginning += int(share * (log.end - log.beginning) / 2)

    @rule(name=meters, owned=subsets, way=ways, newest=fractions, torn=fractions)
    def a_meter_starts(
        self, name: int, owned: set[int], way: str, newest: float, torn: float
    ) -> None:
        if name in self.meters:
            self.a_meter_crashes(name)
        found = ModelMeter.from_commits(self.world, owned) if way == "commits" else None
        if found is None and way != "beginning":
            marks_at = int(newest * (self.world.ledger_position + 1)) - 1
            position = int(torn * (marks_at + 1)) - 1
            found = ModelMeter.from_ledger(self.world, owned, position, marks_at)
        self.meters[name] = found or ModelMeter.from_the_beginning(self.world, owned)

    @precondition(lambda self: self.meters)
    @rule(name=meters, most=st.integers(1, 5))
    def a_meter_prepares(self, name: int, most: int) -> None:
        if name in self.meters and not self.meters[name].overtaken:
            self.meters[name].prepare(most)

    @precondition(lambda self: any(meter.outbox for meter in self.meters.values()))
    @rule(name=meters, copies=st.integers(1, 2))
    def a_meter_appends(self, name: int, copies: int) -> None:
        if name in self.meters and self.meters[name].outbox:
            self.meters[name].append(copies)

    @precondition(lambda self: self.meters)
    @rule(name=meters)
    def a_meter_sees_its_verdict(self, name: int) -> None:
        if name in self.meters:
            self.meters[name].take_verdict()

    @precondition(lambda self: self.meters)
    @rule(name=meters)
    def a_meter_commits(self, name: int) -> None:
        if name in self.meters:
            self.meters[name].commit()

    @precondition(lambda self: self.meters)
    @rule(name=meters, most=st.integers(1, 5))
    def a_meter_takes_a_whole_turn(self, name: int, most: int) -> None:
        meter = self.meters.get(name)
        if meter is not None and not meter.overtaken and meter.prepare(most):
            while meter.outbox:
                meter.append()
            meter.take_verdict()
            meter.commit()

    @precondition(lambda self: self.meters)
    @rule(name=meters)
    def a_meter_crashes(self, name: int) -> None:
        """What it had sent may still arrive, however late and in any order."""
        gone = self.meters.pop(name, None)
        if gone is not None:
            self.in_flight += gone.sent

    @precondition(lambda self: self.in_flight)
    @rule(share=fractions, arrives=st.booleans())
    def a_late_entry_arrives_or_is_gone(self, share: float, arrives: bool) -> None:
        entry = self.in_flight.pop(int(share * (len(self.in_flight) - 1)))
        if arrives:
            self.world.append(entry)

    @rule(count=st.integers(1, 6))
    def the_ledger_lands_entries(self, count: int) -> None:
        self.world.land(count)

    @rule(name=st.sampled_from(READERS), since=fractions, newest=fractions)
    def a_reader_starts_from_the_ledger(self, name: int, since: float, newest: float) -> None:
        """As of any position of the past, or at -1: from nothing."""
        position = int(since * (self.world.ledger_position + 1)) - 1
        progress = self.world.ledger(position, position)
        marks = {place: Mark(n, at) for place, (n, at) in progress.marks.items()}
        reader = Reader(self.world, self.fence(marks, since=position), position)
        reader.is_handed_again(len(self.world.journal))
        reader.read_to(int(newest * (self.world.end + 1)) - 1)
        self.readers[name] = reader

    @precondition(lambda self: self.readers)
    @rule(name=st.sampled_from(READERS), count=st.integers(0, 5), again=st.integers(0, 5))
    def a_reader_reads_on(self, name: int, count: int, again: int) -> None:
        if name in self.readers:
            reader = self.readers[name]
            reader.read_to(min(reader.reached + count, self.world.end))
            reader.is_handed_again(again)

    @invariant()
    def every_event_of_the_covered_prefix_counts_once(self) -> None:
        self.world.check()

    @invariant()
    def readers_at_one_position_have_counted_the_same(self) -> None:
        for reader in self.readers.values():
            assert sorted(reader.counted.elements()) == sorted(
                self.world.counted_up_to(reader.reached)
            )

    def teardown(self) -> None:
        for entry in self.in_flight:
            self.world.append(entry)
        self.meters[len(METERS)] = ModelMeter.from_the_beginning(self.world, PARTITIONS)
        turns = 0
        while sum(self._turn(name) for name in sorted(self.meters)):
            turns += 1
            assert turns < MOST_TURNS, "the meters never come to rest"
        self.world.check()
        for partition, log in self.world.logs.items():
            due = self.world.witness.following[partition]
            assert not log.readable_from(log.beginning if due is None else due), "events were left"
        self.world.land(len(self.world.journal))
        for reader in [*self.readers.values(), Reader(self.world, self.fence(), -1)]:
            reader.read_to(self.world.end)
            reader.is_handed_again(len(self.world.journal))
            assert reader.counted == self.world.witness.counted

    def _turn(self, name: int) -> bool:
        """Let a meter do what there is to do; True if there was anything."""
        meter = self.meters[name]
        if meter.overtaken:
            self.meters[name] = ModelMeter.from_commits(
                self.world, meter.owned
            ) or ModelMeter.from_the_beginning(self.world, meter.owned)
            return True
        busy = meter.prepare(10) or bool(meter.outbox)
        while meter.outbox:
            meter.append()
        while meter.awaits_a_verdict:
            meter.take_verdict()
            busy = True
        meter.commit()
        return busy


SERIOUS = settings(
    max_examples=250,
    stateful_step_count=40,
    deadline=None,
    # Without shrinking, which takes minutes here: a failure must be told within the time limit.
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much],
)
UNTIL_IT_FAILS = settings(SERIOUS, max_examples=1000, database=None, print_blob=False)

TestJournal = Journal.TestCase
TestJournal.settings = SERIOUS


class AcceptsWhateverIsNew(Fence):
    """Without the comparison of the offsets."""

    def accept(self, covered: Range, position: int) -> bool:
        mark = self._marks.get(covered.key, self._unknown)
        if position <= mark.position:
            return False
        self._marks[covered.key] = Mark(covered.through + 1, position)
        return True


class AcceptsWhatOverlaps(Fence):
    """With half of the comparison: a range may begin before the next offset."""

    def accept(self, covered: Range, position: int) -> bool:
        due = self.next(covered.key)
        if due is not None and covered.start < due <= covered.through:
            covered = covered.model_copy(update={"start": due})
        return super().accept(covered, position)


class ForgetsWhatItWasGiven(Fence):
    """Without the position that its marks are for: they hold from the beginning."""

    def __init__(self, marks: dict[SourcePartition, Mark] | None = None, *, since: int = -1):
        given = {place: Mark(mark.next, -1) for place, mark in (marks or {}).items()}
        super().__init__(given, since=since)


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken", [AcceptsWhateverIsNew, AcceptsWhatOverlaps, ForgetsWhatItWasGiven]
)
def test_the_machine_catches_a_broken_fence(broken):
    class Broken(Journal):
        fence = broken

    with pytest.raises(AssertionError):
        run_state_machine_as_test(Broken, settings=UNTIL_IT_FAILS)
