"""A log, a journal, meters and readers in memory: what the fence is for, without a broker.

Only the transport is simulated. What counts is decided by the real `Fence`, and where a meter
begins by the real `from_commits` and `from_ledger`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.journal import Range, SourcePartition
from sinks.ledger import LedgerProgress
from streams.journal.fence import Fence, Mark
from streams.kafka import Committed, read_committed
from streams.metering.position import Known, from_commits, from_ledger

SOURCE = "cluster/llm.usage"
JOURNAL = "cluster/llm.spend"
PARTITIONS = (0, 1, 2)


def key(partition: int) -> SourcePartition:
    return SourcePartition(SOURCE, partition)


@dataclass(slots=True)
class Log:
    """One partition of the usage topic. ``offsets``: where events ever stood, in order."""

    offsets: list[int] = field(default_factory=list)
    beginning: int = 0
    end: int = 0

    def append(self, hole: int) -> None:
        self.offsets.append(self.end + hole)
        self.end += hole + 1

    def readable_from(self, offset: int) -> list[int]:
        return [at for at in self.offsets if at >= max(offset, self.beginning)]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """``events``: offsets of the metered events, by partition."""

    ranges: tuple[Range, ...]
    events: dict[int, tuple[int, ...]]


class Reader:
    """A ledger sink or a guard: what it accepted and counted, over its own fence."""

    def __init__(self, world: World, fence: Fence, reached: int) -> None:
        self._world = world
        self._fence = fence
        self.reached = reached
        self.following = {p: fence.next(key(p)) for p in PARTITIONS}
        self.counted: Counter[tuple[int, int]] = Counter()
        if reached >= 0:
            self.counted.update(world.counted_up_to(reached))

    def read_to(self, position: int) -> None:
        for at in range(self.reached + 1, position + 1):
            entry = self._world.journal[at]
            accepted = self._fence.accepted(entry.ranges, at)
            self._world.agree(at, accepted)
            for covered in accepted:
                due = self.following[covered.partition]
                assert due is None or covered.start == due, f"{covered} leaves a gap or overlaps"
                self.following[covered.partition] = covered.through + 1
                events = entry.events[covered.partition]
                assert covered.events == len(events)
                self.counted.update((covered.partition, offset) for offset in events)
            self.reached = at

    def is_handed_again(self, count: int) -> None:
        """Re-delivery: of what was read nothing counts once more."""
        for at in range(max(0, self.reached - count + 1), self.reached + 1):
            again = self._fence.accepted(self._world.journal[at].ranges, at)
            assert again == (), f"position {at} was accepted again"


class World:
    """Everything that outlives a process: logs, journal, commits, the ledger's rows."""

    def __init__(self, fence: type[Fence] = Fence) -> None:
        self.fence = fence
        self.logs = {p: Log() for p in PARTITIONS}
        self.journal: list[ModelEntry] = []
        self.judged: dict[int, tuple[Range, ...]] = {}
        self.commits: dict[int, tuple[int, str]] = {}
        self.ledger_rows: list[tuple[int, Range]] = []
        self.ledger_position = -1
        self.witness = Reader(self, fence(), -1)

    def append(self, entry: ModelEntry) -> int:
        self.journal.append(entry)
        self.witness.read_to(len(self.journal) - 1)
        return len(self.journal) - 1

    def agree(self, position: int, accepted: tuple[Range, ...]) -> None:
        """Every reader must accept what the first one did."""
        assert self.judged.setdefault(position, accepted) == accepted, (
            f"two readers differ over position {position}"
        )

    def accepted_up_to(self, position: int) -> list[tuple[int, Range]]:
        return [(at, covered) for at in range(position + 1) for covered in self.judged[at]]

    def counted_up_to(self, position: int) -> list[tuple[int, int]]:
        return [
            (covered.partition, offset)
            for at, covered in self.accepted_up_to(position)
            for offset in self.journal[at].events[covered.partition]
        ]

    def land(self, count: int) -> None:
        """A ledger sink starts, as the real one does, writes some entries, and goes again."""
        progress = self.ledger(self.ledger_position, self.ledger_position)
        marks = {place: Mark(following, at) for place, (following, at) in progress.marks.items()}
        fence = self.fence(marks, since=progress.position)
        last = min(self.ledger_position + count, len(self.journal) - 1)
        for at in range(progress.position + 1, last + 1):
            accepted = fence.accepted(self.journal[at].ranges, at)
            self.agree(at, accepted)
            self.ledger_rows += [(at, covered) for covered in accepted]
            self.ledger_position = at

    def ledger(self, position: int, marks_at: int) -> LedgerProgress:
        """Two queries: the highest position first; the marks perhaps some inserts later."""
        marks: dict[SourcePartition, tuple[int, int]] = {}
        for at, covered in self.ledger_rows:
            if at <= marks_at:
                marks[covered.key] = (covered.through + 1, at)
        return LedgerProgress(position, marks)

    def committed(self, partition: int) -> Committed | None:
        return read_committed(*self.commits.get(partition, (-1, None)))

    def check(self) -> None:
        """Of each partition the covered prefix is counted, every event of it exactly once."""
        lost = [(r, r.start, r.start + r.lost) for _, r in self.accepted_up_to(self.end)]
        for partition, log in self.logs.items():
            ranges = [r for _, r in self.accepted_up_to(self.end) if r.partition == partition]
            counted = sorted(o for p, o in self.witness.counted.elements() if p == partition)
            if not ranges:
                assert counted == []
                continue
            first, following = ranges[0].start, ranges[-1].through + 1
            gone = {o for r, a, b in lost if r.partition == partition for o in range(a, b)}
            assert all(offset < log.beginning for offset in gone)
            assert counted == [o for o in log.offsets if first <= o < following and o not in gone]
            assert all(o < log.beginning for o in log.offsets if o < first)

    @property
    def end(self) -> int:
        return len(self.journal) - 1


class ModelMeter:
    """One meter process over any partitions, whether or not another owns them too."""

    def __init__(self, world: World, owned: Iterable[int], known: Known) -> None:
        self._world = world
        self.owned = sorted(owned)
        self._fence = world.fence(known.marks, since=known.since)
        self._reached = min([known.since, *(m.position for m in known.marks.values())])
        self._verdicts: dict[int, tuple[Range, ...]] = {}
        self._read_tail(world.end)
        self.next = {
            p: world.logs[p].beginning if (at := self._fence.next(key(p))) is None else at
            for p in self.owned
        }
        self.outbox: deque[ModelEntry] = deque()
        self._awaiting: deque[int] = deque()
        self._pending: dict[int, Committed] = {}
        self.overtaken = False

    @classmethod
    def from_commits(cls, world: World, owned: Iterable[int]) -> ModelMeter | None:
        owned = list(owned)
        known = from_commits({key(p): world.committed(p) for p in owned}, JOURNAL)
        return None if known is None else cls(world, owned, known)

    @classmethod
    def from_ledger(
        cls, world: World, owned: Iterable[int], position: int, marks_at: int
    ) -> ModelMeter:
        owned = list(owned)
        progress = world.ledger(position, marks_at)
        return cls(world, owned, from_ledger(progress, [key(p) for p in owned]))

    @classmethod
    def from_the_beginning(cls, world: World, owned: Iterable[int]) -> ModelMeter:
        return cls(world, owned, Known({}, -1))

    def prepare(self, most: int) -> bool:
        """Meter up to so many events of each partition; True if there were any."""
        ranges: list[Range] = []
        events: dict[int, tuple[int, ...]] = {}
        for partition in self.owned:
            log, start = self._world.logs[partition], self.next[partition]
            offsets = log.readable_from(start)[:most]
            if not offsets:
                continue
            lost = max(0, log.beginning - start) if offsets[0] > start else 0
            ranges.append(
                Range(
                    source=SOURCE,
                    partition=partition,
                    start=start,
                    through=offsets[-1],
                    events=len(offsets),
                    lost=lost,
                )
            )
            events[partition] = tuple(offsets)
            self.next[partition] = offsets[-1] + 1
        if ranges:
            self.outbox.append(ModelEntry(tuple(ranges), events))
        return bool(ranges)

    def append(self, copies: int = 1) -> None:
        """Send the oldest prepared entry; more copies where the answer to the first got lost."""
        entry = self.outbox.popleft()
        positions = [self._world.append(entry) for _ in range(copies)]
        self._awaiting.append(positions[-1])

    @property
    def sent(self) -> list[ModelEntry]:
        """What may be on its way to the journal while there is no answer.

        Of a partition that the journal does not know yet, whatever arrives first is the first: a
        meter sends nothing of it before the entry in front is there. This is what its waiting for
        each verdict guarantees.
        """
        first = list(self.outbox)[:1]
        following = self._world.witness.following
        return first + [
            entry
            for entry in list(self.outbox)[1:]
            if all(following[covered.partition] is not None for covered in entry.ranges)
        ]

    @property
    def awaits_a_verdict(self) -> bool:
        return bool(self._awaiting)

    def take_verdict(self) -> None:
        """Read up to one's own oldest entry, and see whether it counts."""
        if not self._awaiting:
            return
        position = self._awaiting.popleft()
        self._read_tail(position)
        accepted = self._verdicts[position]
        for covered in accepted:
            self._pending[covered.partition] = Committed(covered.through + 1, JOURNAL, position)
        if len(accepted) != len(self._world.journal[position].ranges):
            self.overtaken = True

    def commit(self) -> None:
        for partition, commit in self._pending.items():
            self._world.commits[partition] = (commit.offset, commit.metadata())
        self._pending = {}

    def _read_tail(self, position: int) -> None:
        owned = set(self.owned)
        known_from = {p: m.position for p, m in self._fence.marks.items()}
        for at in range(self._reached + 1, position + 1):
            accepted = self._fence.accepted(self._world.journal[at].ranges, at)
            self._verdicts[at] = accepted
            mine = [
                r
                for r in self._world.judged[at]
                if r.partition in owned and at > known_from.get(r.key, -1)
            ]
            assert [r for r in accepted if r.partition in owned] == mine, (
                f"a meter and a reader differ over position {at}"
            )
        self._reached = max(self._reached, position)
