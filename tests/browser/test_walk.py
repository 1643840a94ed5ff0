"""A walk through the page as its readers take it: drill down, filter, take an alert on, watch."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from playwright.sync_api import Page, expect

from reports.page import PATHS
from tests.browser.conftest import WAIT_MS, Open, drawn, visit
from tests.support.page_stack import SERVICE, PageStack

pytestmark = pytest.mark.slow

SECRETS = ("search", "assistant", "product")
"""Names of the other department, in all of what the page may say of it."""


def exact(page: Page, figure: str) -> Decimal:
    """A figure in full."""
    value = page.locator(f"[data-figure={figure}]").first.get_attribute("data-value")
    assert value is not None
    return Decimal(value)


def row_names(page: Page, table: str) -> list[str]:
    return page.locator(f"[data-table={table}] tbody th").all_inner_texts()


def test_a_reader_drills_down_from_all_to_a_team(open_page: Open, site: PageStack):
    page = open_page(f"/attribution?{site.weeks}")
    everything = exact(page, "spend")
    page.get_by_role("link", name="product", exact=True).first.click()
    drawn(page)
    assert "department=product" in page.url
    of_product = exact(page, "spend")
    page.get_by_role("link", name="search", exact=True).first.click()
    drawn(page)
    assert "team=search" in page.url
    search = exact(page, "spend")
    assert everything > of_product > search > 0
    asked = "SELECT sum(cost) FROM spend WHERE team = 'search' AND department = 'product'"
    ((ledger,),) = site.stack.query(asked)
    assert search == ledger
    page.go_back()
    drawn(page)
    assert exact(page, "spend") == of_product, "an address is a view"


def test_filters_and_the_currency_are_chosen_in_a_form_and_stay(open_page: Open, site: PageStack):
    page = open_page(f"/?{site.weeks}")
    usd = exact(page, "spend")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_role("combobox", name="Currency").select_option("HKD")
    page.get_by_role("button", name="Show").click()
    drawn(page)
    assert exact(page, "spend") == usd * Decimal("7.8")
    assert page.locator("[data-figure=spend]").first.get_attribute("data-unit") == "HKD"
    page.get_by_text("Filters", exact=True).click()
    page.get_by_role("combobox", name="Team").select_option("claims")
    page.get_by_role("button", name="Show").click()
    drawn(page)
    claims = exact(page, "spend")
    assert 0 < claims < usd * Decimal("7.8")
    page.get_by_role("link", name="Attribution").click()
    drawn(page)
    assert exact(page, "spend") == claims, "the filters go along"
    page.get_by_role("link", name="Remove Team claims").click()
    drawn(page)
    assert exact(page, "spend") == usd * Decimal("7.8")


def test_an_alert_is_taken_on_by_name_and_every_reader_sees_that(open_page: Open, site: PageStack):
    page = open_page(f"/alerts?{site.weeks}")
    card = page.locator("article").filter(has_text="Team search has used")
    card.get_by_label("Who takes it on").fill("Ada Lovelace")
    card.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status")).to_contain_text("Ada Lovelace (board) has taken on")
    assert site.weeks in page.url, "the filters stay"
    expect(card).to_contain_text("acknowledged by Ada Lovelace (board)")
    expect(card.get_by_role("button")).to_have_count(0)
    said = site.stack.run("alerts", "list").stdout
    assert "acknowledged by Ada Lovelace (board)" in said
    page.reload()
    expect(page.get_by_role("status")).to_have_count(0)


def test_a_viewer_takes_on_what_is_theirs_and_nothing_else(open_page: Open, site: PageStack):
    page = open_page("/alerts", SERVICE)
    card = page.locator("article").filter(has_text="Team support has used")
    card.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status")).to_contain_text("lead has taken on")
    foreign = site.alerts[0].alert_id
    for alert_id in (foreign, "0" * 16):
        answer = page.request.post(
            "/alerts/acknowledge",
            form={"id": alert_id},
            headers={"Accept": "application/json", "Sec-Fetch-Site": "same-origin"},
        )
        assert (answer.status, answer.json()["code"]) == (404, "no_such_alert")


def test_a_viewer_is_sent_nothing_of_another_department(open_page: Open, site: PageStack):
    page = open_page(f"/?{site.weeks}", SERVICE)
    ((theirs,),) = site.stack.query("SELECT sum(cost) FROM spend WHERE department = 'service'")
    assert exact(page, "spend") == theirs
    for path in PATHS:
        sent = page.request.get(f"{path}?{site.weeks}", headers={"Accept": "text/html"})
        assert sent.status == 200
        assert [name for name in SECRETS if name in sent.text()] == [], path


def test_a_changed_address_shows_a_viewer_nothing_more(open_page: Open, site: PageStack):
    page = open_page("/", SERVICE, complains=True)
    queries = ("department=product", "team=search", "department=no-such", "team=search&team=claims")
    for path, query in product(("/", "/attribution", "/alerts"), queries):
        answer = page.goto(f"{path}?{site.weeks}&{query}")
        assert answer is not None
        assert answer.status == 403
        text = page.locator("main").inner_text()
        assert "You may not see this department or team, or it does not exist." in text
        assert "$" not in text


def test_figures_are_fresh_and_what_a_reader_does_stays(open_page: Open, site: PageStack):
    page = open_page(f"/?{site.weeks}")
    before = exact(page, "spend")
    details = page.locator("[data-figure=spend] details")
    details.locator("summary").click()
    page.get_by_text("The numbers of this chart").click()
    page.evaluate("scrollTo(0, 300)")
    site.one_more(1)
    shown = page.locator("[data-figure=spend]").first
    expect(shown).not_to_have_attribute("data-value", str(before), timeout=WAIT_MS)
    assert exact(page, "spend") - before == Decimal("2.5")
    expect(details).to_have_attribute("open", "")
    expect(details.locator("summary")).not_to_be_focused()
    assert page.evaluate("scrollY") == 300
    expect(page.locator("figure.chart details").first).to_have_attribute("open", "")
    expect(page.locator("figure.chart svg.marks").first).to_be_visible()


def test_a_reader_pauses_it_and_a_form_is_not_taken_away(open_page: Open, site: PageStack):
    page = open_page("/alerts")
    live = page.get_by_role("button", name="Live")
    live.click()
    paused = page.get_by_role("button", name="Paused")
    expect(paused).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(paused).to_be_visible()
    paused.click()
    card = page.locator("article").filter(has_text="Team claims has used")
    card.get_by_label("Who takes it on").fill("Grace")
    expect(page.locator("#live")).to_have_text("Waiting", timeout=WAIT_MS)
    expect(card.get_by_label("Who takes it on")).to_have_value("Grace")


def test_while_there_is_no_answer_the_page_says_so_and_keeps_what_it_shows(open_page: Open):
    page = open_page("/alerts", complains=True)
    page.route("**/alerts", lambda route: route.abort())
    expect(page.locator("#live")).to_have_text("No answer", timeout=WAIT_MS)
    expect(page.locator("[data-figure=open_alerts]")).to_be_visible()


def test_who_signs_out_is_out_and_a_wrong_token_says_so(open_page: Open):
    page = open_page("/", complains=True)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.get_by_label("Token").fill("sps_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    expect(page.get_by_label("Token")).to_have_value("")
    page.goto("/alerts")
    assert page.url.endswith("/login?next=%2Falerts")


def test_who_has_signed_in_follows_a_link_of_another_site(open_page: Open, site: PageStack):
    page = open_page("/")
    link = f'<a href="{site.url}/alerts?currency=HKD">the alert</a>'
    page.context.route(
        "http://chat.example/", lambda route: route.fulfill(body=link, content_type="text/html")
    )
    page.goto("http://chat.example/")
    page.get_by_role("link", name="the alert").click()
    expect(page.get_by_role("heading", name="Alerts and reviews")).to_be_visible(timeout=WAIT_MS)
    assert page.url == f"{site.url}/alerts?currency=HKD"


def test_who_is_signed_out_elsewhere_is_led_to_the_form(open_page: Open):
    page = open_page("/alerts")
    page.context.clear_cookies()
    page.wait_for_url("**/login?next=%2Falerts", timeout=2 * WAIT_MS)


def test_charts_are_drawn_and_read_aloud(open_page: Open, site: PageStack):
    page = open_page(f"/?{site.weeks}")
    chart = page.locator("figure.chart").first
    expect(chart.locator("svg.marks")).to_be_visible()
    label = chart.locator(".picture").get_attribute("aria-label")
    assert label is not None
    assert "The table below has its numbers." in label
    visit(page, f"/waste?{site.weeks}")
    expect(page.locator("figure.chart svg.marks").first).to_be_visible()
