"""What the topic `llm.quotas` says, in memory: of each key the newest record."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from schemas.quotas import BudgetDefinition, MemberState, Stamp, read_record, stamp_of

log = logging.getLogger(__name__)

Record = BudgetDefinition | MemberState


class QuotaTable:
    """The same whatever order records of one journal come in, and however often.

    Written by one thread; others may look up a key, and copy (`list`) what is there.
    ``ready``: it holds all that the topic held when it was begun.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, BudgetDefinition] = {}
        self.members: dict[str, MemberState] = {}
        self.ready = False
        self._removed: dict[str, Stamp] = {}

    def get(self, key: str) -> Record | None:
        """The record under the key."""
        return self.definitions.get(key) or self.members.get(key)

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
        elif record is not None:
            self.members[key] = record
        else:
            self.definitions.pop(key, None)
            self.members.pop(key, None)
        self._removed.pop(key, None)
        if record is None and stamp is not None:
            self._removed[key] = stamp
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
        """Take everything that another table knows."""
        for key, record in other._records():
            self.take(key, record, record.as_of)
        for key, stamp in other._removed.items():
            self.take(key, None, stamp)

    def _records(self) -> Iterator[tuple[str, Record]]:
        yield from self.definitions.items()
        yield from self.members.items()
