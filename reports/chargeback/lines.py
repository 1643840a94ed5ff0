"""What a month's statements are made of: the ledger by department, team, project and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from reports.chargeback.boundaries import Asof
from sinks.clickhouse import ClickHouse
from sinks.closings import AFTER, AS_OF, as_parameter

_TOKENS = """sum(spend.input_tokens + cache_read_tokens + cache_write_5m_tokens
        + cache_write_1h_tokens + input_audio_tokens + cache_read_audio_tokens
        + input_image_tokens + cache_read_image_tokens + spend.output_tokens + reasoning_tokens
        + output_audio_tokens + output_image_tokens)"""
_PLACE = "department, team, project, use_case, provider, model"
_SUMS = f"sum(spend.calls), {_TOKENS}, sum(spend.cost), sumIf(spend.calls, spend.cost IS NULL)"
_USAGE = f"""
    SELECT {_PLACE}, {_SUMS}
    FROM spend
    WHERE toStartOfMonth(minute) = toDate({{month:String}}) AND {AS_OF}
    GROUP BY {_PLACE}
    ORDER BY {_PLACE}
"""
_RESTATED = f"""
    SELECT {_PLACE}, {_SUMS}, if(a.reason = '', 'late event', toString(a.reason)) AS reason
    FROM
    (
        SELECT * FROM spend
        WHERE toStartOfMonth(minute) = toDate({{month:String}}) AND {AS_OF} AND {AFTER}
    ) AS spend
    LEFT ANY JOIN adjustments AS a ON spend.journal = a.journal AND spend.position = a.position
    GROUP BY {_PLACE}, reason
    ORDER BY {_PLACE}, reason
"""


@dataclass(frozen=True, slots=True)
class Line:
    """Usage of ``month`` (its first day, UTC). ``cost``: USD, None where nothing is priced;
    ``unpriced``: calls that are not in it.

    ``restated``: why it is on a later month's statement; None on its own.
    """

    month: date
    department: str | None
    team: str
    project: str | None
    use_case: str | None
    provider: str
    model: str
    calls: int
    tokens: int
    cost: Decimal | None
    unpriced: int = 0
    restated: str | None = None


def lines_of(clickhouse: ClickHouse, asof: Asof) -> list[Line]:
    """The lines of a month as of its positions, and what has restated earlier months since.

    Raises ClickHouseError.
    """
    positions = as_parameter(asof.positions)
    usage = clickhouse.query(_USAGE, {"month": str(asof.month), "positions": positions})
    lines = [_line(asof.month, row, None) for row in usage]
    for month, since in sorted(asof.restates.items()):
        parameters = {
            "month": str(month),
            "positions": positions,
            "since": as_parameter(since),
        }
        rows = clickhouse.query(_RESTATED, parameters)
        lines += [
            _line(month, row[:-1], str(row[-1])) for row in rows if any(row[len(_NAMES) : -1])
        ]
    return lines


_NAMES = _PLACE.split(", ")


def _line(month: date, row: Sequence[object], restated: str | None) -> Line:
    named = dict(zip(_NAMES, row, strict=False))
    calls, tokens, cost, unpriced = row[len(_NAMES) :]
    return Line(
        month=month,
        **named,  # type: ignore[arg-type]  # the columns of the query, in its order
        calls=int(str(calls)),
        tokens=int(str(tokens)),
        cost=None if cost is None else Decimal(str(cost)),
        unpriced=int(str(unpriced)),
        restated=restated,
    )
