"""Everybody reaches everything: by keyboard, on a phone, in the dark, with a screen reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from reports.page import PATHS
from tests.browser.conftest import Open, Theme, drawn, visit
from tests.support.page_stack import PageStack

pytestmark = pytest.mark.slow

SERIOUS = ("serious", "critical")
PHONE = 360
"""CSS pixels: the narrowest phones in use."""


COLOURS = {"runOnly": {"type": "tag", "values": ["cat.color"]}}
"""Of a page that was looked at in the other theme: nothing else is different."""


def findings(page: Page, **options: Any) -> list[str]:
    """What axe-core finds that keeps somebody out."""
    found = Axe().run(page, options={"resultTypes": ["violations"], **options})
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]}"
        for one in found.response["violations"]
        if one["impact"] in SERIOUS
    ]


@pytest.mark.parametrize(("theme", "rules"), [("light", {}), ("dark", COLOURS)])
def test_axe_finds_nothing_serious_on_any_page(
    open_page: Open, site: PageStack, theme: Theme, rules: dict[str, Any]
):
    page = open_page(f"/?{site.weeks}", theme=theme)
    found = []
    for path in PATHS:
        visit(page, f"{path}?{site.weeks}")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        found += findings(page, **rules)
    visit(page, f"/attribution?{site.weeks}&department=service&team=claims")
    assert found + findings(page, **rules) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_where_there_are_no_figures(open_page: Open, theme: Theme):
    page = open_page("/", theme=theme, complains=True)
    found = []
    for path in ("/?currency=nothing", "/nowhere"):
        page.goto(path)
        found += findings(page)
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    found += findings(page)
    page.get_by_role("button", name="Sign in").wait_for()
    page.get_by_label("Token").fill("sps_wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert found + findings(page) == []


def test_on_a_phone_no_page_is_wider_than_the_screen(open_page: Open, site: PageStack):
    page = open_page(f"/?{site.weeks}", width=PHONE, has_touch=True, is_mobile=True)
    for path in PATHS:
        visit(page, f"{path}?{site.weeks}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, path
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_reader_without_a_mouse_gets_everywhere(open_page: Open, site: PageStack):
    page = open_page(f"/?{site.weeks}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the figures")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    visit(page, f"/?{site.weeks}")
    tab_to(page, "Attribution")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/attribution?**")
    drawn(page)
    tab_to(page, "product")
    page.keyboard.press("Enter")
    page.wait_for_url("**department=product**")
    drawn(page)
    tab_to(page, "Filters")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Team")).to_be_visible()
    tab_to(page, "Show")
    page.keyboard.press("Enter")
    drawn(page)
    assert "department=product" in page.url


def test_an_alert_is_taken_on_without_a_mouse(open_page: Open, site: PageStack):
    page = open_page("/alerts")
    card = page.locator("article").filter(has_text="Team assistant has used")
    for _ in tabs(page):
        if card.get_by_role("textbox").evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Grace Hopper")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Grace Hopper (board) has taken on")


def test_the_dark_theme_is_the_systems_until_one_is_chosen_and_then_stays(
    open_page: Open, site: PageStack
):
    page = open_page("/", theme="dark")
    assert darkness(page) > 0.8
    page.get_by_role("button", name="Use the light theme").click()
    assert darkness(page) < 0.1
    visit(page, f"/alerts?{site.weeks}")
    assert darkness(page) < 0.1


def tabs(page: Page) -> Iterator[None]:
    """One press of Tab after another; fails before it would go on for ever."""
    for _ in range(150):
        page.keyboard.press("Tab")
        yield
    pytest.fail("it was not reached by Tab")


def tab_to(page: Page, text: str) -> None:
    """Press Tab until what has this text has the focus."""
    for _ in tabs(page):
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            return


def darkness(page: Page) -> float:
    """Of the background: 0 is white, 1 is black."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    parts = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return 1 - sum(parts) / (3 * 255)
