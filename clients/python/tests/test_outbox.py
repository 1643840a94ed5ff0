from __future__ import annotations

from spendstream._outbox import Outbox


def filled(events: int, delivery_timeout: float = 60) -> Outbox:
    outbox = Outbox(max_pending=100, delivery_timeout=delivery_timeout)
    for number in range(events):
        assert outbox.offer(b"team", b"%d" % number)
    return outbox


def nothing() -> None:
    """For a taker that is not to be woken."""


def taken(outbox: Outbox) -> list:
    return list(iter(lambda: outbox.take(nothing), None))


def test_events_are_taken_in_the_order_of_their_arrival():
    assert [record.value for record in taken(filled(3))] == [b"0", b"1", b"2"]


def test_a_waiting_taker_is_woken_once():
    outbox, woken = filled(0), []
    assert outbox.take(lambda: woken.append(True)) is None
    outbox.offer(b"team", b"1")
    outbox.offer(b"team", b"2")
    assert woken == [True]


def test_an_event_that_is_on_its_way_still_takes_room():
    outbox = Outbox(max_pending=1, delivery_timeout=60)
    outbox.offer(b"team", b"1")
    outbox.take(nothing)
    assert not outbox.offer(b"team", b"2")
    assert outbox.stats().dropped_full == 1


def test_an_event_is_settled_once():
    outbox = filled(1)
    (record,) = taken(outbox)
    outbox.settle(record, delivered=True)
    outbox.settle(record, delivered=False)
    outbox.abandon()
    assert (outbox.stats().delivered, outbox.stats().dropped_undelivered) == (1, 0)


def test_an_event_beyond_its_deadline_is_not_taken():
    outbox = filled(2, delivery_timeout=0)
    assert taken(outbox) == []
    assert outbox.stats().dropped_undelivered == 2


def test_a_flush_waits_for_what_was_queued_before_it_only():
    outbox, done = filled(2), []
    flush = outbox.flush(lambda: done.append(True))
    outbox.offer(b"team", b"later")
    first, second, later = taken(outbox)
    outbox.settle(later, delivered=False)
    outbox.settle(second, delivered=True)
    assert not done
    outbox.settle(first, delivered=True)
    assert done == [True]
    assert flush.acknowledged


def test_a_flush_is_done_but_not_acknowledged_when_an_event_is_lost():
    outbox, done = filled(1), []
    flush = outbox.flush(lambda: done.append(True))
    outbox.abandon()
    assert done == [True]
    assert not flush.acknowledged


def test_a_closed_outbox_takes_no_more_and_counts_it():
    outbox = filled(1)
    outbox.close()
    assert not outbox.offer(b"team", b"2")
    stats = outbox.stats()
    assert (stats.emitted, stats.pending, stats.dropped_undelivered) == (2, 1, 1)
