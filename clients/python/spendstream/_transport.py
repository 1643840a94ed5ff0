"""Which courier an emitter has, by its URL; and what that courier has to know."""

from __future__ import annotations

import os
from collections.abc import Callable

from spendstream._courier import Courier
from spendstream._outbox import Outbox
from spendstream._security import Security
from spendstream._url import http_base, kafka_servers, scheme_of

TOPIC = "llm.usage"
TOKEN_VARIABLE = "SPENDSTREAM_TOKEN"  # noqa: S105 - its name

CourierMaker = Callable[[Outbox], Courier]


def courier_maker(
    url: str,
    *,
    security: Security | None,
    topic: str | None,
    token: str | None,
    delivery_timeout: float,
) -> CourierMaker:
    """What makes a courier for an outbox. Raises ValueError for options that do not fit the URL.

    A client is imported where it is needed only: each takes longer than the rest of the package.
    """
    if scheme_of(url) == "kafka":
        if token is not None:
            raise ValueError("token is for http:// and https://; a Kafka broker takes security=")
        from spendstream._kafka_courier import KafkaCourier

        servers = kafka_servers(url)
        access = (security or Security.from_environment(os.environ)).options()
        return lambda outbox: KafkaCourier(
            servers, access, topic or TOPIC, outbox, delivery_timeout
        )
    if security is not None or topic is not None:
        option = "topic" if security is None else "security"
        raise ValueError(f"{option} is for kafka://; the HTTP endpoint decides that itself")
    from spendstream._http_courier import HttpCourier

    base = http_base(url)
    secret = checked_token(token if token is not None else os.environ.get(TOKEN_VARIABLE, ""))
    return lambda outbox: HttpCourier(base, secret, outbox, delivery_timeout)


def checked_token(token: str) -> str | None:
    """The token without white space around it; None for none. Raises ValueError, not quoting it."""
    text = token.strip()
    # What is wrong with it is said without it.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("token has characters that no token has; letters, digits and -._~+/=")
    return text or None
