"""Everything that the web stage has for browsers, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.settings import Settings
from streams.web.acknowledging import Acknowledging
from streams.web.assets import Assets
from streams.web.doorkeeper import Doorkeeper
from streams.web.login import Login
from streams.web.page_door import PageDoor
from streams.web.pages import Pages
from streams.web.rendering import Rendering
from streams.web.route import Route, Site
from streams.web.sessions import Sessions


@asynccontextmanager
async def browsers(
    settings: Settings, doorkeeper: Doorkeeper, assets: Assets | None = None
) -> AsyncIterator[tuple[list[Route], Site]]:
    """The routes, and what is at `/`. ClickHouse is not reached before a page is asked for.

    ``assets``: those of the page, unless others are given.
    """
    assets = assets or Assets()
    secret = settings.session_secret
    sessions = Sessions(None if secret is None else secret.get_secret_value())
    door, rendering = PageDoor(doorkeeper, sessions), Rendering(settings)
    pages = Pages(door, rendering)
    acknowledging = Acknowledging(settings, pages, rendering)
    routes = [*pages.routes(), *Login(door).routes(), acknowledging.route(), assets.route()]
    assets.begin()
    try:
        yield routes, pages.site()
    finally:
        await assets.end()
        rendering.close()
