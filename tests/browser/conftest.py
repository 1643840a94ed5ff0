"""Chromium on the page of a running stack; it may load nothing from elsewhere, nor complain.

Chromium is the one of `SPENDSTREAM_TEST_CHROMIUM`, or on the PATH; none is ever downloaded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from tests.support.page_stack import BOARD, PageStack

REQUIRED = "SPENDSTREAM_REQUIRE_BROWSER"
GIVEN = "SPENDSTREAM_TEST_CHROMIUM"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-default-apps", "--no-first-run"),
)
"""The first, as CI is root in a container."""
WAIT_MS = 15_000
Theme = Literal["light", "dark"]
Open = Callable[..., Page]


@pytest.fixture(scope="package")
def chromium_path() -> str:
    path = os.environ.get(GIVEN) or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        message = f"there is no chromium on the PATH, and {GIVEN} names none"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{message}; {REQUIRED}=1 does not let the test be skipped", pytrace=False)
        pytest.skip(message)
    return path


@pytest.fixture(scope="package")
def site(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStack]:
    running = PageStack(tmp_path_factory.mktemp("page"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="package")
def chromium(chromium_path: str, site: PageStack) -> Iterator[Browser]:
    # After the stack, which is filled by asyncio: Playwright has a loop of its own.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=list(FLAGS))
        yield browser
        browser.close()


class Watched:
    """What a browser complained of, and what it wanted from elsewhere."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        context.route("**/*", self._let_through)
        context.on("page", self._listen)

    def _listen(self, page: Page) -> None:
        page.on(
            "console",
            lambda said: (
                self.complaints.append(f"{said.type}: {said.text}")
                if said.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _let_through(self, route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
            return
        self.elsewhere.append(route.request.url)
        route.abort()


@pytest.fixture
def open_page(chromium: Browser, site: PageStack) -> Iterator[Open]:
    """Opens a path as the holder of a token, in a browser of its own; at the end nothing must have
    been wanted from elsewhere, and nothing been complained of, where ``complains`` does not say so.
    """
    contexts: list[BrowserContext] = []
    watched = Watched()
    expected = False

    def opened(
        path: str = "/",
        token: str = BOARD,
        *,
        theme: Theme = "light",
        width: int = 1280,
        complains: bool = False,
        **options: Any,
    ) -> Page:
        nonlocal expected
        expected = expected or complains
        context = chromium.new_context(
            base_url=site.url,
            color_scheme=theme,
            viewport={"width": width, "height": 800},
            **options,
        )
        contexts.append(context)
        watched.watch(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        sign_in(page, token, path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watched.elsewhere == []
    assert expected or watched.complaints == []


def sign_in(page: Page, token: str, path: str) -> None:
    """Through the form, which leads on to the path."""
    page.goto(path)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{path}")
    drawn(page)


def drawn(page: Page) -> None:
    """Wait until the charts are drawn."""
    expect(page.locator("html[data-drawn=yes]")).to_be_attached(timeout=WAIT_MS)


def visit(page: Page, path: str) -> None:
    """Go to a path, and wait for its charts."""
    page.goto(path)
    drawn(page)
