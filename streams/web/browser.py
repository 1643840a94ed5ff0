"""What browsers need beyond other clients: headers that bind them, and a look at what they send."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from aiohttp import web

from streams.web.doorkeeper import is_loopback
from streams.web.refused import RequestRefused

HTML = "text/html"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Without any referrer a browser would not say either where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of everything that a browser shows: nothing from elsewhere, nothing inline, in no frame."""
PRIVATE: Mapping[str, str] = {"Cache-Control": "no-store", "Vary": "Accept, Cookie", **HEADERS}
"""Of pages: what stays in a cache is there for whoever comes next."""


def wants_html(request: web.Request) -> bool:
    """True for a browser that opens an address; others take whatever comes (`*/*`)."""
    return HTML in request.headers.get("Accept", "")


def html(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A page."""
    return web.Response(
        text=body,
        status=status,
        headers={**PRIVATE, **(headers or {})},
        content_type=HTML,
        charset="utf-8",
    )


def see(url: str) -> web.Response:
    """Go and look there (303)."""
    return web.Response(status=303, headers={**PRIVATE, "Location": url})


def parts_of(url: str) -> SplitResult:
    """The parts of what somebody sent as a URL; none where it is no URL."""
    try:
        return urlsplit(url)
    except ValueError:  # a bracket that is not closed
        return SplitResult("", "", "", "", "")


def is_encrypted(request: web.Request) -> bool:
    """True where the browser speaks TLS with us, or with what stands in front of us."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def is_from_elsewhere(request: web.Request) -> bool:
    """True where a link or a form of another site led here."""
    return request.headers.get("Sec-Fetch-Site") == "cross-site"


def check_same_origin(request: web.Request) -> None:
    """Refuse a form of somebody else's page, which a browser sends with its own rights.

    A client that is no browser says nothing of where a request comes from. Raises RequestRefused.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    elif origin is not None:
        hosts = {request.headers.get("X-Forwarded-Host"), request.headers.get("Host")}
        ours = parts_of(origin).netloc in hosts - {None, ""}
    else:
        ours = True
    if not ours:
        raise RequestRefused(
            403, "other_origin", "this was sent by a page of another site; use the form of this one"
        )


def check_addressed_locally(request: web.Request) -> None:
    """Refuse a name that leads here without being this machine's: where no token is demanded, a
    page of a stranger could read ours under its own name. Raises RequestRefused."""
    host = parts_of(f"//{request.headers.get('Host', '')}").hostname or ""
    if not is_loopback(host):
        raise RequestRefused(
            403,
            "other_host",
            f"without tokens the page answers as localhost and 127.0.0.1, not as {host[:80]!r}; "
            "set SPENDSTREAM_TOKENS to a tokens file to open it by other names",
        )
