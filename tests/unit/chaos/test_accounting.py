"""The fault suite's own books: a lost, doubled or wrong event must be seen, and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from tests.chaos.accounting import Drift, Findings, Known, Sums, compare
from tests.chaos.events import Event, EventSource, Line
from tests.chaos.traffic import Ack

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
USAGE = Line(1, 1000, 7_000, 29_000_000)
VOID = Line(-1, -1000, -7_000, 29_000_000)


def ack(event: Event, offset: int, partition: int = 0) -> Ack:
    return Ack(event, partition, offset, at=float(offset))


def an_event(name: str, line: Line | None = USAGE, epoch: str = "r1", team: str = "atlas") -> Event:
    return Event(name, epoch, team, b"value", NOW, line)


def ids(*names: str) -> frozenset[str]:
    return frozenset(names)


class Copy:
    """A ledger in memory, which can be made wrong."""

    def __init__(self, known: Known, epoch: str) -> None:
        self.lines = Counter(dict.fromkeys(known.rounds[epoch], 1))
        self._known = known.rounds[epoch]

    def counted(self) -> dict[str, Line]:
        return {
            name: Line(
                line.calls * times,
                line.tokens * times,
                None if line.cost is None else line.cost * times,
                line.minute,
            )
            for name, times in self.lines.items()
            if times and (line := self._known[name])
        }


@pytest.fixture
def known() -> Known:
    books = Known()
    source = EventSource(seed=3)
    books.add(ack(source.next("r1", NOW), n) for n in range(400))
    return books


def test_a_copy_that_holds_every_event_once_is_right(known):
    assert not compare(known.rounds["r1"], Copy(known, "r1").counted())


def test_a_lost_and_a_doubled_event_do_not_cancel_out(known):
    copy = Copy(known, "r1")
    lost, twice = Random(1).sample(sorted(known.rounds["r1"]), 2)
    copy.lines[lost] -= 1
    copy.lines[twice] += 1
    assert compare(known.rounds["r1"], copy.counted()) == Findings(ids(lost), ids(twice))


def test_voids_are_lost_and_doubled_too():
    known = {"void:a": VOID, "void:b": VOID}
    counted = {"void:b": Line(-2, -2000, -14_000, VOID.minute)}
    assert compare(known, counted) == Findings(ids("void:a"), ids("void:b"))


@pytest.mark.parametrize(
    "other",
    [
        Line(1, 1001, 7_000, USAGE.minute),
        Line(1, 1000, 7_001, USAGE.minute),
        Line(1, 1000, None, USAGE.minute),
        Line(1, 1000, 7_000, USAGE.minute - 24 * 60),
    ],
    ids=["tokens", "cost", "no cost", "another day"],
)
def test_an_event_with_other_figures_is_wrong(other):
    assert compare({"a": USAGE}, {"a": other}) == Findings(wrong=ids("a"))


def test_an_event_that_nobody_acknowledged_is_unknown():
    assert compare({}, {"a": USAGE}) == Findings(unknown=ids("a"))


def test_a_repeated_event_adds_nothing_to_what_is_due():
    known = Known()
    event = an_event("a")
    known.add([ack(event, 0), ack(event, 5)])
    assert known.sums("r1") == Sums(1, 1, 1000, 7_000)
    assert (known.repeated, known.spent["atlas", "2026-11"]) == (1, 7_000)


def test_a_refused_event_is_due_in_the_dead_letters_only():
    known = Known()
    bad = an_event("bad", None)
    known.add([ack(bad, 3)])
    assert known.refused == {(0, 3): bad}
    assert known.sums("r1") == Sums()


def test_what_retention_removed_is_not_due_any_more():
    known = Known()
    known.add([ack(an_event(f"e{n}"), n) for n in range(10)])
    known.add([ack(an_event("bad", None), 10)])
    known.add([ack(an_event("elsewhere"), 4, partition=1)])
    assert known.remove("r1", partition=0, start=3, end=11) == 7
    assert sorted(known.rounds["r1"]) == ["e0", "e1", "e2", "elsewhere"]
    assert known.refused == {}
    assert known.spent["atlas", "2026-11"] == 4 * 7_000


def test_an_event_with_a_copy_beyond_the_removed_offsets_stays_due():
    known = Known()
    event = an_event("a")
    known.add([ack(event, 3), ack(event, 8)])
    assert known.remove("r1", partition=0, start=0, end=5) == 0
    assert "a" in known.rounds["r1"]


@pytest.mark.parametrize(
    "found",
    [Sums(1, 1, 999, 7_000), Sums(1, 1, 1000, 7_000, odd=1), Sums()],
    ids=["tokens", "odd", "nothing"],
)
def test_an_earlier_round_that_has_changed_is_suspect(found):
    known = Known()
    known.add([ack(an_event("a"), 0), ack(an_event("b", epoch="r2"), 1)])
    assert known.suspects({"r1": found, "r2": known.sums("r2")}) == ["r1"]


def test_drift_in_opposite_directions_is_drift():
    drift = Drift(archive_calls=1, guard_calls=-1, archive_cost=5, guard_cost=-5)
    assert (drift.calls, drift.cost, bool(drift)) == (2, 10, True)
    assert not drift - drift
