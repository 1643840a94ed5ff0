"""Which events the archive has, and whether they count the same.

The meter knows a repeated event_id as far back as its horizon; an import is run again days later.
So it asks the archive, which has every id, before it sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from sinks.id_groups import id_groups
from streams.imports.convert import Figures

_NULL = -1
_SQL = f"""
    SELECT event_id, [{", ".join(f"ifNull({name}, {_NULL})" for name in BUCKET_NAMES)}],
           provider_cost
    FROM usage_events FINAL WHERE event_id IN {{ids:Array(String)}}
"""


def known_events(clickhouse: ClickHouse, ids: Sequence[str]) -> dict[str, Figures]:
    """The archived ones among these ids, with what they count. Raises ClickHouseError."""
    found: dict[str, Figures] = {}
    for some in id_groups(ids):
        for event_id, counts, cost in clickhouse.query(_SQL, {"ids": some}):
            tokens = tuple(None if count == _NULL else int(count) for count in counts)
            found[str(event_id)] = (tokens, None if cost is None else Decimal(cost))
    return found
