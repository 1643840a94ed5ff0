"""Draws the pictures of the page in docs/: `make screenshots`. A simulated month, looked at when it
was over; Chromium as in the tests.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from sinks.alert_log import AlertLog
from sinks.clickhouse import ClickHouse
from sinks.embedded import serve
from sinks.migrate import migrate
from streams.settings import load_settings
from streams.stack.ports import free_ports
from streams.web.app import serving, web_app
from streams.web.doorkeeper import Doorkeeper
from streams.web.site import browsers
from tests.browser.conftest import FLAGS, GIVEN, drawn
from tests.support.alerts import an_alert
from tests.support.landed_month import land_budgets
from tests.support.simulated_month import fill_month

DOCS = Path(__file__).parents[2] / "docs"
MONTH = date(2026, 11, 1)
LOOKED_AT = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
PERIOD = "from=2026-11-01&to=2026-11-30"
THINNED = 25
LAST_POSITION = 1_000
"""Of the journal: behind all entries of the month."""
BUDGETS = {
    "exchange_rates": {"HKD": {"2026-01-01": "7.8"}},
    "budgets": [
        {"name": "organisation", "limit": "300"},
        {"name": "search", "where": {"team": "search"}, "limit": "75"},
        {"name": "platform", "where": {"team": "platform"}, "limit": "50"},
        {"name": "research", "where": {"team": "research"}, "limit": "60"},
    ],
}
ALERTS = [
    an_alert(
        scope={"team": team},
        period="2026-11",
        threshold=threshold,
        severity=severity,
        title=f"Team {team} has used {threshold} % of its budget of November 2026",
        detail=f"The threshold of {threshold} % was reached.",
        value=None,
        limit=None,
        since=datetime(2026, 11, day, 9, 12, tzinfo=UTC),
        at=datetime(2026, 11, day, 9, 12, tzinfo=UTC),
    )
    for team, threshold, severity, day in (
        ("search", "100", "critical", 30),
        ("platform", "80", "warning", 29),
    )
]


@dataclass(frozen=True)
class Picture:
    """``height``: of the screen, CSS pixels; None: the whole page."""

    name: str
    path: str
    theme: str = "light"
    width: int = 1280
    height: int | None = 1000


PICTURES = (
    Picture("page.png", "/", height=1500),
    Picture("page-dark.png", "/attribution", "dark"),
    Picture("page-phone.png", "/", width=390, height=844),
)


def main() -> None:
    """All pictures, into docs/."""
    with tempfile.TemporaryDirectory() as folder, page_of_the_month(Path(folder)) as url:
        draw(url, PICTURES, DOCS)


@contextmanager
def page_of_the_month(folder: Path) -> Iterator[str]:
    """Where the page of the month is served, without a broker, to everybody."""
    database, port = free_ports(2)
    clickhouse = f"http://127.0.0.1:{database}"

    async def stores(stop: asyncio.Event, ready: Callable[[], None]) -> None:
        await serve(folder / "data", "127.0.0.1", database, stop=stop, ready=lambda _: ready())

    async def page(stop: asyncio.Event, ready: Callable[[], None]) -> None:
        doorkeeper = Doorkeeper(None)
        async with (
            browsers(load_settings(clickhouse=clickhouse), doorkeeper) as (routes, site),
            serving(web_app(routes, doorkeeper, site), "127.0.0.1", port),
        ):
            ready()
            await stop.wait()

    with in_a_thread(stores):
        fill(clickhouse)
        with in_a_thread(page):
            yield f"http://127.0.0.1:{port}"


def fill(url: str) -> None:
    """Two months of calls, budgets, and what a guard would have alerted."""
    clickhouse = ClickHouse(url)
    migrate(clickhouse)
    fill_month(clickhouse, MONTH - timedelta(days=1), thinned=THINNED)
    fill_month(clickhouse, MONTH, thinned=THINNED)
    asyncio.run(land_budgets(clickhouse, LOOKED_AT, LAST_POSITION, BUDGETS))
    AlertLog(clickhouse).record_alerts(ALERTS)
    clickhouse.close()


def draw(url: str, pictures: tuple[Picture, ...], folder: Path) -> None:
    """Each picture as a file of this folder."""
    path = os.environ.get(GIVEN) or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for picture in pictures:
            context = browser.new_context(
                base_url=url,
                color_scheme="dark" if picture.theme == "dark" else "light",
                viewport={"width": picture.width, "height": picture.height or 900},
                device_scale_factor=2 if picture.width < 500 else 1,
            )
            page = context.new_page()
            page.goto(f"{picture.path}?{PERIOD}")
            drawn(page)
            _save(page, folder / picture.name, whole=picture.height is None)
            context.close()
        browser.close()


def _save(page: Page, file: Path, *, whole: bool) -> None:
    page.screenshot(path=file, full_page=whole, animations="disabled")


@contextmanager
def in_a_thread(
    body: Callable[[asyncio.Event, Callable[[], None]], object],
) -> Iterator[None]:
    """Run it in a loop of its own until the block ends; the block begins when it is ready."""
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await body(stop, ready.set)  # type: ignore[misc]  # a coroutine function

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        if not ready.wait(60):
            raise TimeoutError("it did not start")
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()


if __name__ == "__main__":
    main()
