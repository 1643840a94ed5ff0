"""The spool by itself: what it reads back, what it does where the disk does not do as it should."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest
import spendstream
from hypothesis import given
from hypothesis import strategies as st
from spendstream._frames import MARK, framed, frames
from spendstream._outbox import Outbox
from spendstream._spool import Spool
from spendstream._spool_folder import SpoolFolder
from spendstream._spooled_outbox import SpooledOutbox

CALL = {"provider": "openai", "model": "gpt-4o-mini", "team": "search", "input_tokens": 12}
MIB = 1024 * 1024


def outbox_on(folder: Path, *, in_memory: int = 100, limit: int = MIB) -> SpooledOutbox:
    return SpooledOutbox(in_memory, Spool(folder, limit))


def offered(outbox: Outbox, count: int, *, first: int = 0) -> None:
    for number in range(first, first + count):
        assert outbox.offer(b"team", b"%d" % number)


def nothing() -> None:
    """For a taker that is not to be woken."""


def drained(outbox: Outbox) -> list[int]:
    found = []
    while (record := outbox.take(nothing)) is not None:
        found.append(int(record.value))
        outbox.settle(record, delivered=True)
    return found


@given(
    st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=30)), min_size=3, max_size=3),
    st.data(),
)
def test_damage_to_one_frame_costs_no_other(events, data):
    whole = [framed(key, value) for key, value in events]
    at = data.draw(st.integers(0, len(whole[1]) - 1))
    damaged = bytearray(whole[1])
    damaged[at] ^= data.draw(st.integers(1, 255))
    found = [(key, value) for _, key, value in frames(whole[0] + damaged + whole[2], last=True)]
    assert found[0] == events[0]
    assert found[-1] == events[2]


def test_a_mark_inside_an_event_is_not_taken_for_a_frame():
    data = framed(b"k", MARK * 20) + framed(b"k", b"v")
    assert [value for _, _, value in frames(data, last=True)] == [MARK * 20, b"v"]


def test_the_backlog_is_on_disk_and_not_in_memory(tmp_path):
    outbox = outbox_on(tmp_path, in_memory=10)
    offered(outbox, 5000)
    assert len(outbox._waiting) == 10
    assert outbox.stats().pending == 5000
    assert drained(outbox) == list(range(5000))


def test_segments_are_deleted_as_their_events_are_settled(tmp_path):
    outbox = SpooledOutbox(10, Spool(tmp_path, MIB, segment_bytes=1000))
    offered(outbox, 500)
    assert len(list(tmp_path.glob("*/*.seg"))) > 5
    drained(outbox)
    assert len(list(tmp_path.glob("*/*.seg"))) == 1
    outbox.abandon()
    assert list(tmp_path.iterdir()) == []


def test_what_a_closed_outbox_leaves_the_next_one_delivers(tmp_path):
    first = outbox_on(tmp_path)
    offered(first, 5)
    record = first.take(nothing)
    first.settle(record, delivered=True)
    first.take(nothing)
    first.abandon()
    assert (first.stats().spooled, first.stats().pending) == (4, 0)
    second = outbox_on(tmp_path)
    second.recover()
    offered(second, 1, first=5)
    assert drained(second) == [1, 2, 3, 4, 5]
    assert (second.stats().recovered, second.stats().delivered) == (4, 5)
    second.abandon()
    assert list(tmp_path.iterdir()) == []


def test_the_spool_of_a_process_that_lives_is_left_alone(tmp_path):
    living, other = outbox_on(tmp_path), outbox_on(tmp_path)
    offered(living, 3)
    other.recover()
    assert drained(other) == []
    assert drained(living) == [0, 1, 2]


def test_nothing_but_our_own_is_touched(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0000000001.seg").write_text("mine")
    (tmp_path / "lock").write_text("mine")
    outbox = outbox_on(tmp_path)
    outbox.recover()
    offered(outbox, 1)
    drained(outbox)
    outbox.abandon()
    assert (tmp_path / "photos" / "0000000001.seg").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "photos"]


def test_a_full_spool_drops_and_counts_and_takes_again_when_there_is_room(tmp_path, caplog):
    outbox = SpooledOutbox(10, Spool(tmp_path, 3000, segment_bytes=1000))
    taken = [outbox.offer(b"team", b"%d" % number) for number in range(500)]
    stats = outbox.stats()
    assert 0 < stats.dropped_full == taken.count(False)
    assert taken[: stats.pending] == [True] * stats.pending
    assert caplog.text.count("dropping usage events: the spool") == 1
    assert drained(outbox) == list(range(stats.pending))
    assert outbox.offer(b"team", b"1")


def test_a_flush_waits_for_what_was_recovered_too(tmp_path):
    first = outbox_on(tmp_path)
    offered(first, 2)
    first.abandon()
    second, done = outbox_on(tmp_path), []
    second.recover()
    flush = second.flush(lambda: done.append(True))
    assert not done
    assert drained(second) == [0, 1]
    assert done == [True]
    assert flush.acknowledged


def test_a_taker_that_waits_for_room_in_memory_is_woken_when_there_is_some(tmp_path):
    outbox, woken = outbox_on(tmp_path, in_memory=2), []
    offered(outbox, 3)
    records = [outbox.take(nothing) for _ in range(2)]
    assert outbox.take(lambda: woken.append(True)) is None
    outbox.settle(records[0], delivered=True)
    assert woken == [True]
    assert outbox.take(nothing).value == b"2"


def test_a_disk_that_is_full_for_a_while_costs_no_event_and_no_order(tmp_path, monkeypatch, caplog):
    outbox = outbox_on(tmp_path, in_memory=50)
    offered(outbox, 3)
    real = os.write

    def torn(descriptor, data):
        real(descriptor, data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", torn)
        offered(outbox, 4, first=3)
    assert caplog.text.count("wait in memory, not in the spool") == 1
    assert outbox.stats().pending == 7
    outbox._retry_at = 0.0
    offered(outbox, 3, first=7)
    assert len(outbox._overflow) == 0
    outbox.forsake()  # as a process that is killed
    after = outbox_on(tmp_path)
    after.recover()
    assert drained(after) == list(range(10))


def test_a_spool_that_cannot_be_written_is_said_once_and_memory_serves(absent_broker, caplog):
    caplog.set_level(logging.WARNING)
    with spendstream.Emitter(absent_broker.url, spool="/proc/no/such", max_pending=3) as meter:
        assert [bool(meter.emit(**CALL)) for _ in range(4)] == [True, True, True, False]
        assert meter.stats.pending == 3
        stats = meter.close(timeout=0)
    assert (stats.dropped_undelivered, stats.dropped_full, stats.spooled) == (3, 1, 0)
    assert caplog.text.count("wait in memory, not in the spool /proc/no/such") == 1


def test_events_whose_segment_is_gone_are_counted_and_the_law_holds(tmp_path, caplog):
    outbox = SpooledOutbox(2, Spool(tmp_path, MIB, segment_bytes=200))
    offered(outbox, 50)
    for segment in sorted(tmp_path.glob("*/*.seg"))[1:-1]:
        segment.unlink()
    done = []
    outbox.flush(lambda: done.append(True))
    found = drained(outbox)
    stats = outbox.stats()
    assert stats.emitted == stats.delivered + stats.dropped_undelivered == 50
    assert stats.delivered == len(found) < 50
    assert done == [True]
    assert "are lost: the spool was damaged or removed" in caplog.text


def test_an_event_that_interrupts_another_ones_write_is_kept_behind_it(tmp_path, monkeypatch):
    outbox, real = outbox_on(tmp_path), os.write

    def interrupted(descriptor, data):
        monkeypatch.setattr(os, "write", real)
        offered(outbox, 1, first=1)  # as a signal handler would
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", interrupted)
    offered(outbox, 1)
    assert drained(outbox) == [0, 1]


def test_what_is_pending_is_brought_to_the_disk_and_no_descriptor_stays_open(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    before = len(list(Path("/dev/fd").iterdir()))
    outbox = SpooledOutbox(10, Spool(tmp_path, MIB, segment_bytes=200))
    offered(outbox, 50)
    outbox.tend()
    assert len(synced) > 2
    synced.clear()
    outbox.tend()
    assert synced == []
    outbox.abandon()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_folder_is_never_seen_without_its_lock(tmp_path):
    made = SpoolFolder.create(tmp_path)
    (path,) = tmp_path.iterdir()
    assert SpoolFolder.adopt(path) is None
    made.forsake()
    adopted = SpoolFolder.adopt(path)
    assert adopted is not None
    adopted.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variable", [False, True])
def test_an_emitter_that_is_closed_leaves_its_events_to_the_next(
    tmp_path, absent_broker, monkeypatch, variable
):
    if variable:
        monkeypatch.setenv("SPENDSTREAM_SPOOL", str(tmp_path))
    options = {} if variable else {"spool": tmp_path}
    meter = spendstream.Emitter(absent_broker.url, delivery_timeout=0.05, **options)
    for _ in range(5):
        meter.emit(**CALL)
    assert not meter.flush(0.3)  # events with a spool wait beyond the delivery timeout
    stats = meter.close(timeout=0)
    assert (stats.spooled, stats.pending, stats.dropped_undelivered) == (5, 0, 0)
    assert meter.report() == (
        "0 of 5 usage events were delivered (5 left in the spool for the next emitter)"
    )


def test_a_spool_of_less_than_a_segment_is_a_mistake():
    with pytest.raises(ValueError, match="spool_bytes is 1000; at least 1048576"):
        spendstream.Emitter("kafka://localhost:1", spool="x", spool_bytes=1000)
