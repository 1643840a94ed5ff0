"""The board's report of a simulated month, as the pictures in docs/.

python -m tests.support.board_picture docs/board.png docs/board-2.png
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from reports.board.gather import gather
from reports.board.pdf import set_pdf
from reports.board.setting import document, specifications
from reports.charts.images import picture
from reports.figures.period import Period
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from tests.support.clickhouse_endpoint import clickhouse_endpoint
from tests.support.landed_month import land_budgets, newest_position
from tests.support.pdf_pages import page_pngs
from tests.support.simulated_month import fill_month

MONTHS = [date(2026, month, 1) for month in range(7, 12)]
BUDGETS = {
    "exchange_rates": {"HKD": {"2026-01-01": "7.8"}},
    "budgets": [
        {"name": "organisation", "limit": "220"},
        {"name": "departments", "each": "department", "limit": "60"},
        {"name": "teams", "each": "team", "limit": "40"},
        {"name": "users", "each": "user", "limit": "12", "unit": "HKD"},
    ],
}


def board_pdf() -> bytes:
    """The report of November 2026, of a company that began in July."""
    with (
        tempfile.TemporaryDirectory() as folder,
        clickhouse_endpoint(Path(folder) / "data") as url,
    ):
        connection = ClickHouse(url)
        migrate(connection)
        for month in MONTHS:
            fill_month(connection, month, thinned=40)
        end = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
        position = newest_position(connection)
        asyncio.run(land_budgets(connection, end, position, BUDGETS))
        board = gather(connection, Period.month_of(MONTHS[-1]), date(2026, 12, 1))
        connection.close()
    pictures = [picture(one, "svg").decode() for one in specifications(board)]
    return set_pdf(document(board), pictures, board.as_of.minute)


if __name__ == "__main__":
    for page, name in zip(page_pngs(board_pdf()), sys.argv[1:], strict=True):
        Path(name).write_bytes(page)
