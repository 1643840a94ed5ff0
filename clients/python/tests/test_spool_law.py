"""The law of the spool: what was taken is delivered, in order, whatever ends the process."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from spendstream._frames import framed
from spendstream._spool import Spool
from spendstream._spooled_outbox import SpooledOutbox

SEGMENT_BYTES = 200


class SpoolLaw(RuleBasedStateMachine):
    """One process after another on one spool. Events are (key, number), numbers rise."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.number = 0
        self.promised: list[tuple[bytes, int]] = []
        self.delivered: list[tuple[bytes, int]] = []
        self.start()

    def start(self):
        self.written: list[tuple[bytes, int]] = []
        self.taken = []
        self.offered = 0
        # Four in memory: the rest has to be read back.
        self.outbox = SpooledOutbox(4, Spool(self.folder, 4000, SEGMENT_BYTES))
        self.outbox.recover()

    @rule(key=st.sampled_from([b"a", b"b"]), times=st.integers(1, 6), size=st.integers(0, 60))
    def offer(self, key, times, size):
        for _ in range(times):
            self.number += 1
            self.offered += 1
            if self.outbox.offer(key, b"%d " % self.number + b"\x5e\xc3" * size):
                self.promised.append((key, self.number))
                self.written.append((key, self.number, size))

    @rule()
    def take(self):
        record = self.outbox.take(lambda: None)
        if record is not None:
            self.taken.append(record)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def acknowledge(self, data):
        # Any key may be acknowledged first, but within a key the courier keeps the order.
        key = data.draw(st.sampled_from(sorted({record.key for record in self.taken})))
        record = next(record for record in self.taken if record.key == key)
        self.taken.remove(record)
        self.deliver(record)

    def deliver(self, record):
        self.delivered.append((record.key, int(record.value.split()[0])))
        self.outbox.settle(record, delivered=True)

    @rule()
    def recall(self):
        self.outbox.recall()
        self.taken.clear()

    @rule()
    def close_and_start_again(self):
        self.outbox.abandon()
        assert self.outbox.stats().pending == 0
        self.check_the_law()
        self.start()

    @rule()
    def kill_and_start_again(self):
        self.outbox.forsake()
        self.start()

    @rule(data=st.data())
    def cut_the_power_and_start_again(self, data):
        self.outbox.forsake()
        newest = max(self.folder.glob("*.spool/*.seg"), default=None)
        # Written by this process, whose sub-folder is the newest, if it wrote at all.
        if newest is not None and self.written and newest.stat().st_size:
            self.cut(newest, data.draw(st.integers(0, newest.stat().st_size)))
        self.start()

    def cut(self, segment, size):
        """Truncate; events whose last byte is beyond the cut may be lost, and no others."""
        end = segment.stat().st_size
        for key, number, length in reversed(self.written):
            frame = len(framed(key, b"%d " % number + b"\x5e\xc3" * length))
            if end <= size or frame > end:
                break
            if (key, number) in self.promised:
                self.promised.remove((key, number))
            end -= frame
        os.truncate(segment, size)

    @invariant()
    def check_the_law(self):
        stats = self.outbox.stats()
        settled = stats.delivered + stats.dropped_full + stats.dropped_undelivered
        assert stats.emitted == self.offered
        assert stats.emitted + stats.recovered == settled + stats.spooled + stats.pending
        assert stats.dropped_undelivered == 0

    @invariant()
    def memory_is_bounded(self):
        # What one read brings in may go beyond the window, by no more than a chunk.
        assert len(self.outbox._waiting) + len(self.outbox._on_their_way) <= 4 + SEGMENT_BYTES // 10

    def teardown(self):
        self.outbox.recall()
        while (record := self.outbox.take(lambda: None)) is not None:
            self.deliver(record)
        assert self.outbox.stats().pending == 0
        assert set(self.promised) <= set(self.delivered)
        firsts = list(dict.fromkeys(self.delivered))
        for key in (b"a", b"b"):
            numbers = [number for found, number in firsts if found == key]
            assert numbers == sorted(numbers)
        self.outbox.abandon()
        assert list(self.folder.iterdir()) == []
        shutil.rmtree(self.folder)


TestSpoolLaw = SpoolLaw.TestCase
TestSpoolLaw.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
