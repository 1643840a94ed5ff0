"""What was published against what each copy holds: lost, counted twice, and how much they differ.

Lost: an event that the broker acknowledged and that the ledger or the archive does not hold.
Counted twice: one that either holds more than once. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.events import Event, Line
from tests.chaos.traffic import Ack


@dataclass(frozen=True, slots=True)
class Sums:
    """Figures of one round in one copy. ``odd``: events that do not count exactly once."""

    events: int = 0
    calls: int = 0
    tokens: int = 0
    cost: int = 0
    odd: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """Ids of events by what is wrong with them. ``wrong``: counted once, with other figures;
    ``unknown``: counted, and never acknowledged to the producer."""

    lost: frozenset[str] = frozenset()
    twice: frozenset[str] = frozenset()
    wrong: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def __or__(self, other: Findings) -> Findings:
        return Findings(
            self.lost | other.lost,
            self.twice | other.twice,
            self.wrong | other.wrong,
            self.unknown | other.unknown,
        )

    def __sub__(self, other: Findings) -> Findings:
        return Findings(
            self.lost - other.lost,
            self.twice - other.twice,
            self.wrong - other.wrong,
            self.unknown - other.unknown,
        )

    def __bool__(self) -> bool:
        return bool(self.lost or self.twice or self.wrong or self.unknown)


def compare(known: Mapping[str, Line], counted: Mapping[str, Line]) -> Findings:
    """Every event of a round, one by one, against one copy."""
    lost, twice, wrong = set(), set(), set()
    for event_id, line in known.items():
        found = counted.get(event_id)
        calls = 0 if found is None else found.calls * line.calls  # a void counts minus one
        if calls < 1:
            lost.add(event_id)
        elif calls > 1:
            twice.add(event_id)
        elif found != line:
            wrong.add(event_id)
    unknown = counted.keys() - known.keys()
    return Findings(frozenset(lost), frozenset(twice), frozenset(wrong), frozenset(unknown))


@dataclass(frozen=True, slots=True)
class Drift:
    """By how much archive and guard are above the ledger: calls, and pico-dollars."""

    archive_calls: int = 0
    archive_cost: int = 0
    guard_calls: int = 0
    guard_cost: int = 0

    def __sub__(self, other: Drift) -> Drift:
        return Drift(
            self.archive_calls - other.archive_calls,
            self.archive_cost - other.archive_cost,
            self.guard_calls - other.guard_calls,
            self.guard_cost - other.guard_cost,
        )

    @property
    def calls(self) -> int:
        """Calls in which a copy differs, whichever way."""
        return abs(self.archive_calls) + abs(self.guard_calls)

    @property
    def cost(self) -> int:
        """Pico-dollars in which a copy differs, whichever way."""
        return abs(self.archive_cost) + abs(self.guard_cost)

    def __bool__(self) -> bool:
        return bool(self.calls or self.cost)


@dataclass
class Known:
    """All that the broker has acknowledged, and what it must come to."""

    rounds: dict[str, dict[str, Line]] = field(default_factory=lambda: defaultdict(dict))
    refused: dict[tuple[int, int], Event] = field(default_factory=dict)
    """What must be in the dead letters, by partition and offset."""
    places: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    spent: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """Pico-dollars by team and month of the event, UTC."""
    repeated: int = 0
    _months: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, acks: Iterable[Ack]) -> None:
        """Take in acknowledgements; an event may have several."""
        for ack in acks:
            event = ack.event
            if event.line is None:
                self.refused[ack.partition, ack.offset] = event
                continue
            self.places[event.event_id].append((ack.partition, ack.offset))
            if event.event_id in self.rounds[event.epoch]:
                self.repeated += 1
                continue
            self.rounds[event.epoch][event.event_id] = event.line
            account = (event.team, f"{event.at:%Y-%m}")
            self._months[event.event_id] = account
            self.spent[account] += event.line.cost or 0

    def remove(self, epoch: str, partition: int, start: int, end: int) -> int:
        """Offsets from ``start`` up to ``end`` are gone for good; how many events with them."""
        gone = [
            event_id
            for event_id in self.rounds[epoch]
            if all(p == partition and start <= at < end for p, at in self.places[event_id])
        ]
        for event_id in gone:
            line = self.rounds[epoch].pop(event_id)
            self.spent[self._months[event_id]] -= line.cost or 0
        refused = [place for place in self.refused if place[0] == partition]
        for place in refused:
            if start <= place[1] < end:
                del self.refused[place]
        return len(gone)

    def sums(self, epoch: str) -> Sums:
        """What a copy must hold of a round."""
        lines = self.rounds[epoch].values()
        return Sums(
            len(lines),
            sum(line.calls for line in lines),
            sum(line.tokens for line in lines),
            sum(line.cost or 0 for line in lines),
        )

    def suspects(self, copy: Mapping[str, Sums]) -> Sequence[str]:
        """Rounds of which a copy holds something else than it must."""
        return sorted(
            epoch
            for epoch in self.rounds.keys() | copy.keys()
            if self.sums(epoch) != copy.get(epoch, Sums())
        )
