"""What a broker may demand of who connects: TLS, a user and password, a client certificate."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

PREFIX = "SPENDSTREAM_KAFKA_"
_VARIABLES = {
    "protocol": "SECURITY",
    "mechanism": "SASL_MECHANISM",
    "user": "USER",
    "password": "PASSWORD",
    "ca": "CA",
    "client_cert": "CLIENT_CERT",
    "client_key": "CLIENT_KEY",
}
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, kw_only=True)
class Security:
    """How to get into a broker, by Kafka's own names. Prints without the password.

    ``protocol``: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. ``mechanism``, with SASL: PLAIN,
    SCRAM-SHA-256 or SCRAM-SHA-512. ``ca``: PEM file of the CA that signed the broker's certificate,
    in place of the system's. ``client_cert``, ``client_key``: PEM files of our own, where the
    broker demands one. The broker's certificate and name are always checked.
    """

    protocol: str
    mechanism: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | Path | None = None
    client_cert: str | Path | None = None
    client_key: str | Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """What the variables ``SPENDSTREAM_KAFKA_*`` say; PLAINTEXT where they say nothing."""
        given = {name: environment.get(PREFIX + end) or None for name, end in _VARIABLES.items()}
        protocol = given.pop("protocol") or "PLAINTEXT"
        return cls(protocol=protocol, **given)

    def options(self) -> dict[str, Any]:
        """The same for aiokafka's clients. Raises ValueError: one line, without the password."""
        protocol = _known("protocol", _PROTOCOLS, self.protocol)
        options: dict[str, Any] = {"security_protocol": protocol}
        if protocol.endswith("SSL"):
            options["ssl_context"] = self._context()
        elif self.ca or self.client_cert or self.client_key:
            raise ValueError(f"Security: protocol is {protocol}; certificates are for TLS")
        if not protocol.startswith("SASL"):
            if self.mechanism or self.user or self.password:
                raise ValueError(f"Security: protocol is {protocol}; a user is for SASL")
        else:
            if not self.user or not self.password:
                raise ValueError(f"Security: {protocol} needs user and password")
            mechanism = _known("mechanism", _MECHANISMS, self.mechanism or "")
            options["sasl_mechanism"] = mechanism
            options["sasl_plain_username"] = self.user
            options["sasl_plain_password"] = self.password
            logging.getLogger("aiokafka.conn").addFilter(_has_no_password)
        return options

    def _context(self) -> ssl.SSLContext:
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("Security: client_cert and client_key belong together")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.client_cert is not None:
                # Without a password OpenSSL would ask for that of an encrypted key.
                context.load_cert_chain(self.client_cert, self.client_key, password="")
        except OSError as error:
            files = [str(f) for f in (self.ca, self.client_cert, self.client_key) if f is not None]
            why = error.strerror or str(error)
            raise ValueError(
                f"Security: {why} ({', '.join(files)}); PEM files are understood"
            ) from None
        return context


def _known(name: str, names: tuple[str, ...], given: str) -> str:
    if given.upper() not in names:
        raise ValueError(f"Security: {name} is {given!r}; one of {', '.join(names)} is understood")
    return given.upper()


def _has_no_password(record: logging.LogRecord) -> bool:
    # False for requests to log in: at DEBUG aiokafka logs them, and PLAIN's has the password.
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(type(one).__name__.startswith("SaslAuthenticate") for one in arguments)
