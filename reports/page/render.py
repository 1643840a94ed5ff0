"""From a path and a query to HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from reports.figures.currency import currencies, rates_of
from reports.figures.lens import Lens, may_see
from reports.page.alerts import alerts_page
from reports.page.asked import Asked
from reports.page.attribution import attribution_page
from reports.page.content import Content
from reports.page.explain import explain_page
from reports.page.filters import filters
from reports.page.html import as_html, error_html
from reports.page.overview import overview_page
from reports.page.prompts import prompts_page
from reports.page.quality import quality_page
from reports.page.routing import routing_page
from reports.page.savings import savings_page
from reports.page.units import units_page
from reports.page.waste import waste_page
from reports.viewer import Viewer
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse, ClickHouseError, ClickHouseUnavailable

_Builder = Callable[[ClickHouse, Lens, Asked], Content]
_PAGES: Mapping[str, tuple[str, _Builder]] = {
    "/": ("Overview", overview_page),
    "/attribution": ("Attribution", attribution_page),
    "/routing": ("Routing", routing_page),
    "/prompts": ("Prompts", prompts_page),
    "/waste": ("Waste", waste_page),
    "/savings": ("Savings", savings_page),
    "/explain": ("", explain_page),
    "/alerts": ("Alerts", alerts_page),
    "/units": ("Unit costs", units_page),
    "/quality": ("Data quality", quality_page),
}
# Without a name it is in no navigation: figures lead there.
PATHS: tuple[str, ...] = tuple(_PAGES)
"""Of all pages, in the order of the navigation."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer: HTTP's status, and a whole page."""

    status: int
    html: str


def render(
    clickhouse: ClickHouse,
    path: str,
    query: Mapping[str, str],
    viewer: Viewer,
    *,
    today: date | None = None,
) -> Rendered:
    """The page at a path, 400 for a query that cannot be, 403 for what the viewer must not see, 404
    for a path that is none, 503 while ClickHouse cannot be asked.

    ``query`` may repeat names where it is a multidict. ``today``: the day, UTC; None: by the clock.
    """
    names = {where: name for where, (name, _) in _PAGES.items() if name}
    asked = Asked(today or datetime.now(UTC).date())
    if path not in _PAGES:
        return Rendered(404, error_html(names, asked, viewer, "There is no such page."))
    try:
        asked = Asked.read(query, asked.today)
        lens = asked.lens(viewer)
        if not may_see(clickhouse, lens):
            words = "You may not see this department or team, or it does not exist."
            return Rendered(403, error_html(names, Asked(asked.today), viewer, words))
        known = currencies(clickhouse)
        rates = rates_of(clickhouse, lens, known)
        offered = filters(clickhouse, lens, asked, path, known)
        content = _PAGES[path][1](clickhouse, lens, asked)
    except UserError as error:
        return Rendered(400, error_html(names, asked, viewer, str(error)))
    except ClickHouseUnavailable:
        words = "The database cannot be reached at the moment. Try again in a minute."
        return Rendered(503, error_html(names, asked, viewer, words))
    except ClickHouseError as error:
        return Rendered(500, error_html(names, asked, viewer, f"The database refused: {error}"))
    return Rendered(200, as_html(names, path, asked, lens, content, offered, rates))
