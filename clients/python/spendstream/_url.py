"""Where to send to, from the URL that the emitter is given."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORT = 9092


def kafka_servers(url: str) -> tuple[tuple[str, int], ...]:
    """Host and port of each bootstrap server. Raises ValueError with one line."""
    wanted = "kafka://host:port[,host:port] is understood"
    scheme, separator, rest = url.partition("://")
    if not separator or scheme != "kafka":
        shown = f"{scheme}://" if separator else "a URL without a scheme"
        raise ValueError(f"cannot send usage events to {shown}; {wanted}")
    return tuple(_server(text, wanted) for text in rest.removesuffix("/").split(","))


def _server(text: str, wanted: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text.strip()}")
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} is no host and port; {wanted}") from None
    # The text is not repeated where it may hold a password.
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        raise ValueError(f"the Kafka URL has more than hosts and ports; {wanted}")
    if not parts.hostname:
        raise ValueError(f"the Kafka URL lacks a host; {wanted}")
    return parts.hostname, DEFAULT_PORT if port is None else port
