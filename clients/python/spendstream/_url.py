"""Where to send to, from the URL that the emitter is given."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORT = 9092
HTTP_SCHEMES = frozenset({"http", "https"})
_WANTED = "kafka://host:port[,host:port] or http(s)://host[:port][/base] is understood"


def scheme_of(url: str) -> str:
    """``kafka``, ``http`` or ``https``. Raises ValueError with one line."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in {"kafka", *HTTP_SCHEMES}:
        shown = f"{scheme}://" if separator else "a URL without a scheme"
        raise ValueError(f"cannot send usage events to {shown}; {_WANTED}")
    return scheme


def kafka_servers(url: str) -> tuple[tuple[str, int], ...]:
    """Host and port of each bootstrap server. Raises ValueError with one line."""
    scheme_of(url)
    rest = url.partition("://")[2]
    return tuple(_server(text) for text in rest.removesuffix("/").split(","))


def http_base(url: str) -> str:
    """The server's base, without a slash at the end. Raises ValueError with one line."""
    scheme_of(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"the HTTP URL has no proper host and port; {_WANTED}") from None
    # The text is not repeated where it may hold a password.
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"the HTTP URL has more than a host, a port and a path; {_WANTED}")
    if not parts.hostname:
        raise ValueError(f"the HTTP URL lacks a host; {_WANTED}")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _server(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text.strip()}")
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} is no host and port; {_WANTED}") from None
    # The text is not repeated where it may hold a password.
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        raise ValueError(f"the Kafka URL has more than hosts and ports; {_WANTED}")
    if not parts.hostname:
        raise ValueError(f"the Kafka URL lacks a host; {_WANTED}")
    return parts.hostname, DEFAULT_PORT if port is None else port
