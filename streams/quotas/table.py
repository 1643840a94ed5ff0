"""What the topic `llm.quotas` says, in memory: of each key the newest record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from schemas.quotas import (
    HEARTBEAT_KEY,
    BudgetDefinition,
    Heartbeat,
    MemberState,
    Record,
    Stamp,
    read_record,
    stamp_of,
)

log = logging.getLogger(__name__)

Told = Callable[[str], None]
"""Called with the key of each record that is new, or gone, by whoever writes the table."""


class QuotaTable:
    """The same whatever order records of one journal come in, and however often.

    Written by one thread; others may look up a key, and copy (`list`) what is there.
    ``ready``: it holds all that the topic held when it was begun.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, BudgetDefinition] = {}
        self.members: dict[str, MemberState] = {}
        self.heartbeat: Heartbeat | None = None
        self.ready = False
        self._removed: dict[str, Stamp] = {}
        self._followers: set[Told] = set()

    def get(self, key: str) -> Record | None:
        """The record under the key."""
        if key == HEARTBEAT_KEY:
            return self.heartbeat
        return self.definitions.get(key) or self.members.get(key)

    def keys(self) -> list[str]:
        """Every key that has a record; budgets before their members."""
        heartbeat = [] if self.heartbeat is None else [HEARTBEAT_KEY]
        return [*self.definitions, *self.members, *heartbeat]

    def removed(self, key: str) -> Stamp | None:
        """The stamp of the removal of a key without a record, where it had one."""
        return self._removed.get(key)

    def age_seconds(self, now: datetime) -> float | None:
        """Since an active guard last said that it is at work; None where none has."""
        if self.heartbeat is None:
            return None
        # Where its clock is ahead of ours it was just now.
        return max(0.0, round((now - self.heartbeat.as_of.at).total_seconds(), 3))

    @contextmanager
    def followed(self, follower: Told) -> Iterator[None]:
        """Tell the follower of changes until the block ends. For the writer's thread."""
        self._followers.add(follower)
        try:
            yield
        finally:
            self._followers.discard(follower)

    def take(self, key: str, record: Record | None, stamp: Stamp | None) -> bool:
        """Take a record, or that the key has none any more; False where a newer one is known.

        Without a stamp (an operator removed it) it is believed.
        """
        known = self.get(key)
        if stamp is not None:
            newest = known.as_of if known is not None else self._removed.get(key)
            if not stamp.replaces(newest):
                return False
        # Never for a moment without a record that is only replaced: another thread may be reading.
        if isinstance(record, BudgetDefinition):
            self.definitions[key] = record
        elif isinstance(record, Heartbeat):
            self.heartbeat = record
        elif record is not None:
            self.members[key] = record
        else:
            self._drop(key)
        self._removed.pop(key, None)
        if record is None and stamp is not None:
            self._removed[key] = stamp
        if record != known:
            for follower in self._followers:
                follower(key)
        return True

    def read(
        self, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Record | None:
        """Take a record of the topic; the record, if it is a new one.

        What is no record of ours is passed over, with a line in the log.
        """
        try:
            name = (key or b"").decode()
            if value is None:
                self.take(name, None, stamp_of(headers))
                return None
            record = read_record(name, value)
        except (ValueError, RecursionError) as error:
            log.warning("the record %r on the quotas topic is passed over: %s", key, error)
            return None
        return record if self.take(name, record, record.as_of) else None

    def merge(self, other: QuotaTable) -> None:
        """Take every budget and member that another table knows."""
        for key, record in other._budgets_and_members():
            self.take(key, record, record.as_of)
        for key, stamp in other._removed.items():
            self.take(key, None, stamp)

    def _budgets_and_members(self) -> Iterator[tuple[str, BudgetDefinition | MemberState]]:
        yield from self.definitions.items()
        yield from self.members.items()

    def _drop(self, key: str) -> None:
        self.definitions.pop(key, None)
        self.members.pop(key, None)
        if key == HEARTBEAT_KEY:
            self.heartbeat = None
