"""The page over HTTP: who is let in, what a browser is told, and what is kept from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from reports.page import PATHS, Asset
from reports.page.assets import own_urls
from streams.metrics import HTTP_REQUEST
from streams.settings import load_settings
from streams.stack.ports import free_ports
from streams.web.app import serving, web_app
from streams.web.assets import Assets
from streams.web.doorkeeper import LOOK_SECONDS, Doorkeeper
from streams.web.guesses import MOST_WRONG
from streams.web.page_door import COOKIE
from streams.web.site import browsers
from streams.web.tokens import entry

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CSS = own_urls()["page.css"]
ASSETS = {CSS: Asset(b"main { color: red }" * 100, "text/css")}
TOKEN = "sps_cfo"


@dataclass
class Site:
    """A web stage whose ClickHouse is away, and a browser with its cookies."""

    url: URL
    http: aiohttp.ClientSession
    now: list[float]

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        return await self._ask("GET", path, headers)

    async def post(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> aiohttp.ClientResponse:
        return await self._ask("POST", path, headers, data=form or {})

    async def sign_in(self, token: str = TOKEN, **headers: str) -> aiohttp.ClientResponse:
        return await self.post("/login", {"token": token, "next": "/alerts"}, **headers)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], **options: Any
    ) -> aiohttp.ClientResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.request(
            method,
            self.url.join(URL(path, encoded=True)),
            headers=BROWSER | named,
            allow_redirects=False,
            **options,
        )
        await answer.read()
        return answer


@asynccontextmanager
async def a_site(tokens: Path | None) -> AsyncIterator[Site]:
    (nobody,) = free_ports(1)
    settings = load_settings(clickhouse=f"http://127.0.0.1:{nobody}")
    now = [0.0]
    doorkeeper = Doorkeeper(tokens, clock=lambda: now[0])
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        browsers(settings, doorkeeper, Assets(lambda: ASSETS)) as (routes, site),
        serving(web_app(routes, doorkeeper, site), "127.0.0.1", 0) as port,
        aiohttp.ClientSession(cookie_jar=jar) as http,
    ):
        yield Site(URL(f"http://127.0.0.1:{port}"), http, now)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.yaml"
    lines = [
        entry("cfo", "sps_cfo", [], ["page", "acknowledge"]),
        entry("ada", "sps_ada", [], ["page"], {"departments": ["risk"]}),
        entry("ci", "sps_ci", ["search"], ["events"]),
    ]
    file.write_text("\n".join(["tokens:", *lines, ""]))
    return file


@pytest.fixture
async def guarded(file: Path) -> AsyncIterator[Site]:
    async with a_site(file) as site:
        yield site


@pytest.fixture
async def open_to_all() -> AsyncIterator[Site]:
    async with a_site(None) as site:
        yield site


def bound(answer: aiohttp.ClientResponse) -> bool:
    """True where the headers bind a browser."""
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    return answer.headers["Cache-Control"] == "no-store"


async def test_a_browser_finds_the_page_at_the_root_and_others_what_is_here(open_to_all: Site):
    page = await open_to_all.get("/")
    assert (page.status, page.content_type) == (503, "text/html")
    for path, accept in (("/", "*/*"), ("/", "application/json"), ("/v1", "text/html")):
        index = await open_to_all.get(path, Accept=accept)
        document = await index.json()
        assert (index.status, document["service"]) == (200, "spendstream")
        assert "GET /alerts" in document["routes"]


@pytest.mark.parametrize("path", PATHS)
async def test_while_clickhouse_is_away_a_page_says_so_and_when_to_try_again(
    open_to_all: Site, path: str
):
    page = await open_to_all.get(path)
    assert page.status == 503
    assert page.headers["Retry-After"] == "5"
    assert "database cannot be reached" in await page.text()
    assert bound(page)


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_token_there_is_no_page(guarded: Site, path: str):
    page = await guarded.get(path)
    assert (page.status, page.headers["Location"].partition("?")[0]) == (303, "/login")
    if path != "/":
        other = await guarded.get(path, Accept="*/*")
        assert (other.status, (await other.json())["code"]) == (401, "token_missing")


async def test_a_token_in_the_header_is_enough(guarded: Site):
    page = await guarded.get("/alerts", Authorization="Bearer sps_ada")
    assert page.status == 503, "let in"
    page = await guarded.get("/alerts", Authorization="Bearer sps_ci")
    assert page.status == 403
    assert "lacks the scope page" in await page.text()


async def test_signing_in_gives_a_cookie_that_no_script_and_no_other_site_can_use(guarded: Site):
    answer = await guarded.sign_in()
    assert (answer.status, answer.headers["Location"]) == (303, "/alerts")
    (sent,) = answer.headers.getall("Set-Cookie")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(sent.split("; "))
    assert "Secure" not in sent
    assert "sps_cfo" not in sent
    assert (await guarded.get("/alerts")).status == 503, "let in"
    assert (await guarded.get("/login")).headers["Location"] == "/"
    behind_tls = await guarded.sign_in(X_Forwarded_Proto="https")
    assert "Secure" in behind_tls.headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize(
    ("token", "status", "said"),
    [
        ("sps_other", 401, "not known here"),
        ("", 401, "not known here"),
        ("sps_ci", 403, "lacks the scope page"),
    ],
)
async def test_a_wrong_token_is_told_in_a_line_and_gets_no_cookie(
    guarded: Site, token: str, status: int, said: str, caplog: pytest.LogCaptureFixture
):
    answer = await guarded.sign_in(token)
    text = await answer.text()
    assert (answer.status, said in text, bound(answer)) == (status, True, True)
    assert "Set-Cookie" not in answer.headers
    assert not token or token not in text + caplog.text


async def test_guesses_end_and_a_right_token_has_to_wait_then_too(guarded: Site):
    for _ in range(MOST_WRONG):
        assert (await guarded.sign_in("sps_guess")).status == 401
    late = await guarded.sign_in()
    assert late.status == 429
    assert int(late.headers["Retry-After"]) > 0


async def test_who_signs_out_is_out_with_any_copy_of_the_cookie(guarded: Site):
    await guarded.sign_in()
    copy = guarded.http.cookie_jar.filter_cookies(guarded.url)[COOKIE].value
    answer = await guarded.post("/logout")
    assert answer.headers["Location"] == "/login"
    assert (await guarded.get("/")).status == 303
    guarded.http.cookie_jar.update_cookies({COOKIE: copy}, guarded.url)
    assert (await guarded.get("/")).status == 303


async def test_a_token_that_is_taken_away_takes_its_cookies_along(guarded: Site, file: Path):
    await guarded.sign_in()
    assert (await guarded.get("/alerts")).status == 503, "let in"
    await asyncio.to_thread(file.write_text, "tokens: []\n")
    guarded.now[0] += LOOK_SECONDS
    assert (await guarded.get("/alerts")).status == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "{own}"}, 303),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "{own}"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin", "Origin": "https://proxy.example"}, 303),
        ({"X_Forwarded_Host": "spend.example", "Origin": "https://spend.example"}, 303),
    ],
)
async def test_a_form_of_another_site_signs_nobody_in_or_out(
    guarded: Site, headers: dict[str, str], status: int
):
    own = str(guarded.url).rstrip("/")
    given = {name: value.format(own=own) for name, value in headers.items()}
    for answer in (await guarded.sign_in(**given), await guarded.post("/logout", **given)):
        assert answer.status == status
        if status == 403:
            assert "page of another site" in await answer.text()


@pytest.mark.parametrize(
    "after",
    [
        *("//evil.example", "https://evil.example/", "/\\evil.example", "evil", "/nowhere"),
        *("javascript:alert(1)", "/login", "///evil.example", "//[", "http:/alerts", "/../evil"),
    ],
)
async def test_signing_in_leads_nowhere_else(guarded: Site, after: str):
    answer = await guarded.post("/login", {"token": "sps_cfo", "next": after})
    assert answer.headers["Location"] == "/"


async def test_signing_in_leads_back_with_the_filters(guarded: Site):
    to_login = await guarded.get("/attribution?team=a%26b&currency=HKD")
    form = await (await guarded.get(to_login.headers["Location"])).text()
    assert 'value="/attribution?team=a%26b&amp;currency=HKD"' in form


async def test_a_link_in_a_message_is_opened_by_who_has_signed_in(guarded: Site):
    """The browser keeps a strict cookie back on the first request: the page asks for itself."""
    first = await guarded.get("/alerts", Sec_Fetch_Site="cross-site")
    assert (first.status, first.headers["Refresh"]) == (200, "0; url=/alerts")
    assert bound(first)
    await guarded.sign_in()
    assert (await guarded.get("/alerts", Sec_Fetch_Site="same-origin")).status == 503, "let in"


async def test_without_tokens_a_strangers_name_that_leads_here_shows_nothing(open_to_all: Site):
    for host in ("evil.example:6067", "[::1", "127.0.0.1.evil.example"):
        page = await open_to_all.get("/", Host=host)
        assert (page.status, "not as" in await page.text()) == (403, True)
    for host in ("localhost:1", "127.0.0.1", "[::1]:6067"):
        assert (await open_to_all.get("/", Host=host)).status == 503, "let in"


async def test_an_alert_is_taken_on_by_nobody_who_may_not(guarded: Site):
    assert (await guarded.post("/alerts/acknowledge", {"id": "x"})).status == 401
    await guarded.sign_in("sps_ada")
    answer = await guarded.post("/alerts/acknowledge", {"id": "x"})
    assert (answer.status, "lacks the scope acknowledge" in await answer.text()) == (403, True)
    await guarded.sign_in("sps_cfo")
    stranger = {"Origin": "http://evil.example"}
    assert (await guarded.post("/alerts/acknowledge", {"id": "x"}, **stranger)).status == 403
    away = await guarded.post("/alerts/acknowledge", {"id": "x"})
    assert (away.status, away.content_type) == (503, "text/html")


async def test_assets_are_kept_for_ever_and_sent_packed_to_who_takes_that(guarded: Site):
    for encoding, packed in (("gzip, br", "gzip"), ("identity", None)):
        asset = await guarded.get(CSS, Accept_Encoding=encoding)
        assert (asset.status, asset.headers.get("Content-Encoding")) == (200, packed)
        assert "immutable" in asset.headers["Cache-Control"]
        assert asset.headers["X-Content-Type-Options"] == "nosniff"
        assert await asset.read() == ASSETS[CSS].body
    assert (await guarded.get("/assets/page-0.css")).status == 404


async def test_what_readers_ask_for_is_not_timed_with_what_producers_send(open_to_all: Site):
    def timed() -> float:
        return sum(
            sample.value
            for metric in HTTP_REQUEST.collect()
            for sample in metric.samples
            if sample.name.endswith("_count")
        )

    before = timed()
    for path in ("/", "/alerts", "/login", CSS):
        await open_to_all.get(path)
    assert timed() == before
    await open_to_all.get("/v1")
    assert timed() == before + 1


@pytest.mark.parametrize(("accept", "kind"), [("text/html", "html"), ("*/*", "json")])
async def test_what_is_not_there_is_told_to_each_in_their_own_way(
    open_to_all: Site, accept: str, kind: str
):
    answer = await open_to_all.get("/nowhere", Accept=accept)
    assert (answer.status, answer.content_type.endswith(kind)) == (404, True)
    assert "GET /v1 says what is here" in await answer.text()
