"""What would become of letters if they were sent now: the meter's own judgement, and the archive's.

A letter is sent if the meter would take it, and if its event is not counted yet. The meter knows
the ids of its horizon only; a letter may be much older than that, and its producer may have mended
and sent the event by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from schemas.batch import INDEX
from schemas.dead_letters import Letter
from schemas.wire import SchemaLookup
from streams.dead_letters.edit import CannotEdit, Edit
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from streams.usage_consumer import Record

Place = tuple[str, int, int]
"""Source, partition, offset."""
Places = Callable[[Sequence[str]], Mapping[str, Place]]
"""From event ids to where the archive has them from; those that it does not have are left out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would be sent for a letter, and why it may not be; ``against`` empty: it may."""

    letter: Letter
    value: bytes | None
    event_id: str | None = None
    against: str = ""

    @property
    def edited(self) -> bool:
        """True where other bytes than the original would be sent."""
        return self.value != self.letter.value


class Judge:
    """Judges letters in the order in which they would be sent."""

    def __init__(self, book: PriceBook, lookup: SchemaLookup, places: Places) -> None:
        self._book = book
        self._lookup = lookup
        self._places = places
        self._accepted: dict[str, str] = {}

    def judge(self, letters: Sequence[Letter], edit: Edit) -> list[Verdict]:
        """One verdict each. Blocking. Raises what the archive and the schema registry raise.

        Of several letters with one event id only the first is let through, in later calls too.
        """
        mended = [self._mended(letter, edit) for letter in letters]
        readable = [verdict for verdict in mended if not verdict.against]
        ids, refused = self._decoded(readable)
        places = self._places(sorted(set(ids.values())))
        decided = iter(
            self._decided(verdict, ids.get(index), refused.get(index, ""), places)
            for index, verdict in enumerate(readable)
        )
        return [verdict if verdict.against else next(decided) for verdict in mended]

    def _mended(self, letter: Letter, edit: Edit) -> Verdict:
        try:
            return Verdict(letter, edit.apply(letter.value, self._lookup))
        except CannotEdit as error:
            return Verdict(letter, letter.value, against=str(error))

    def _decoded(self, verdicts: Sequence[Verdict]) -> tuple[dict[int, str], dict[int, str]]:
        """Event ids and refusals, by position."""
        now = int(time.time() * 1000)
        records = [
            Record(v.letter.partition, position, now, v.letter.key, v.value, ())
            for position, v in enumerate(verdicts)
        ]
        events, refusals = decoded_records(records, self._book, self._lookup)
        ids = dict(zip(events[INDEX].to_list(), events["event_id"].to_list(), strict=True))
        return ids, {index: str(refusal) for index, refusal in refusals.items()}

    def _decided(
        self, verdict: Verdict, event_id: str | None, refusal: str, places: Mapping[str, Place]
    ) -> Verdict:
        against = f"still refused: {refusal}"
        if event_id is not None:
            against = self._counted(event_id, places)
            self._accepted.setdefault(event_id, verdict.letter.letter)
        return Verdict(verdict.letter, verdict.value, event_id, against)

    def _counted(self, event_id: str, places: Mapping[str, Place]) -> str:
        if event_id in places:
            _, partition, offset = places[event_id]
            where = f"counted already, from partition {partition}, offset {offset}"
        elif event_id in self._accepted:
            where = f"that of letter {self._accepted[event_id]}, which is sent"
        else:
            return ""
        return f"its event {event_id!r} is {where}: drop the letter"
