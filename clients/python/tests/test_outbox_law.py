"""The law of `Stats`, under any order of what callers and courier do."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from spendstream._outbox import Outbox


class OutboxLaw(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.outbox = Outbox(max_pending=5, delivery_timeout=60)
        self.taken = []
        self.offered = self.queued = 0

    @rule(times=st.integers(1, 4))
    def offer(self, times):
        for _ in range(times):
            self.offered += 1
            self.queued += self.outbox.offer(b"team", b"value")

    @rule()
    def take(self):
        record = self.outbox.take(lambda: None)
        if record is not None:
            self.taken.append(record)

    @rule(delivered=st.booleans(), data=st.data())
    def settle(self, delivered, data):
        if self.taken:
            self.outbox.settle(data.draw(st.sampled_from(self.taken)), delivered=delivered)

    @rule()
    def refuse(self):
        self.outbox.refuse()

    @rule()
    def close(self):
        self.outbox.close()

    @rule()
    def abandon(self):
        self.outbox.abandon()
        assert self.outbox.stats().pending == 0

    @invariant()
    def every_event_is_counted_once(self):
        stats = self.outbox.stats()
        dropped = stats.dropped_full + stats.dropped_undelivered
        assert stats.emitted == self.offered == stats.delivered + dropped + stats.pending
        assert 0 <= stats.pending <= 5
        assert stats.delivered <= self.queued


TestOutboxLaw = OutboxLaw.TestCase
