"""Pages without figures: the form to sign in, and why something is not to be had."""

from __future__ import annotations

from functools import cache

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.page.assets import own_urls
from streams.web.browser import html, wants_html
from streams.web.refused import RequestRefused
from streams.web.route import as_json

_TITLES = {401: "Who are you?", 403: "Not for you", 404: "Not found", 429: "Too many at once"}


def login_form(
    next_path: str, words: str = "", *, status: int = 200, wait: int | None = None
) -> web.Response:
    """The form, above it what was wrong. ``wait``: seconds until it may be tried again."""
    template = _templates().get_template("login.html")
    body = template.render(title="Sign in", words=words, next=next_path)
    return html(body, status, {} if wait is None else {"Retry-After": str(wait)})


def opening(url: str) -> web.Response:
    """A page that goes on to a URL of ours at once."""
    template = _templates().get_template("sheet.html")
    body = template.render(title="Opening", words="", back=url)
    return html(body, headers={"Refresh": f"0; url={url}"})


def sheet(refused: RequestRefused, back: str = "") -> web.Response:
    """What was refused, for a browser."""
    title = _TITLES.get(refused.status, "That did not work")
    template = _templates().get_template("sheet.html")
    words = refused.as_json()["error"]
    body = template.render(title=title, words=f"{words[:1].upper()}{words[1:]}.", back=back)
    return html(body, refused.status, refused.headers)


def as_asked(request: web.Request, refused: RequestRefused) -> web.Response:
    """What was refused: a page for a browser, JSON for all others."""
    return sheet(refused, "/") if wants_html(request) else as_json(request, refused)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("streams.web"), autoescape=True, undefined=StrictUndefined
    )
    environment.globals.update(own=own_urls(), back="")
    return environment
