"""An import of a file with everything in place but Kafka and ClickHouse."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.usage import UsageEvent
from schemas.wire import decode
from streams.imports.attribution import Attribution, parse_map
from streams.imports.convert import Converter, Figures, figures
from streams.imports.documents import ExportFile
from streams.imports.run import Import, file_batches
from streams.imports.sources import SOURCES
from streams.imports.tally import Tally
from streams.traffic.records import Record

SAMPLES = Path(__file__).parents[2] / "data" / "imports"


@dataclass
class Imported:
    """What was sent, and what was said about the rest."""

    events: list[UsageEvent] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    def by_id(self) -> dict[str, UsageEvent]:
        return {event.event_id: event for event in self.events}

    def archive(self) -> dict[str, Figures]:
        """What the archive knows of it afterwards."""
        return {event.event_id: figures(event) for event in self.events}

    @property
    def reasons(self) -> dict[str, int]:
        return {code: reason.count for code, reason in self.tally.rejected.items()}

    @property
    def passed(self) -> dict[str, int]:
        return {code: reason.count for code, reason in self.tally.passed.items()}


def imported(
    path: Path | str,
    source: str,
    *,
    team: str | None = None,
    pairs: Sequence[str] = (),
    known: Mapping[str, Figures] | None = None,
) -> Imported:
    """Import a file; ``known`` is what the archive has."""
    file = ExportFile(SAMPLES / path)
    result = Imported(tally=Tally(unit=file.unit, rejects=io.StringIO()))
    attribution = Attribution(team, parse_map(pairs, SOURCES[source]))

    async def send(records: list[Record]) -> None:
        result.events += [decode(record.value) for record in records]
        result.keys += [record.key for record in records]

    job = Import(
        str(path),
        Converter(SOURCES[source], attribution, file.taken),
        result.tally,
        lambda ids: {i: (known or {})[i] for i in ids if i in (known or {})},
        send,
    )
    asyncio.run(job.run(file_batches(file), lambda: None))
    assert isinstance(result.tally.rejects, io.StringIO)
    result.rejects = [json.loads(line) for line in result.tally.rejects.getvalue().splitlines()]
    return result
