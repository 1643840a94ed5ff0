"""Tables as Parquet, a file for each month: money stays decimal, times keep their zone.

ClickHouse writes the file. It is complete or it is not there: it gets its name when its end was
read back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SpendstreamError, UserError
from sinks.clickhouse import ClickHouse

MONTHS = {
    "spend": "minute",
    "spend_by_day": "day",
    "spend_by_workflow": "month",
    "usage": "occurred_at",
}
"""What can be exported, and the column that says to which month (UTC) a row belongs."""


class BrokenExport(SpendstreamError):
    """What ClickHouse sent is no whole file."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One file, with so many ``rows`` and ``size`` in bytes."""

    path: Path
    rows: int
    size: int


def export_month(clickhouse: ClickHouse, table: str, month: date, folder: Path) -> Exported:
    """Write ``<table>-YYYY-MM.parquet``, over one that is there; ``month`` is its first day.

    Raises ClickHouseError, BrokenExport, and UserError where the folder cannot be written.
    """
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    column = MONTHS[table]
    sql = f"SELECT * FROM {table} WHERE {column} >= '{month}' AND {column} < '{following}'"
    path = folder / f"{table}-{month:%Y-%m}.parquet"
    part = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            clickhouse.download(sql, "Parquet", out)
            out.flush()
            os.fsync(out.fileno())
        rows = pq.read_metadata(part).num_rows
        part.replace(path)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}; name a folder to write to") from None
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())[:200]
        raise BrokenExport(f"{path.name}: ClickHouse sent no whole file: {reason}") from None
    finally:
        part.unlink(missing_ok=True)
    return Exported(path, rows, path.stat().st_size)
