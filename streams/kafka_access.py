"""How the broker is reached: what is spoken, who we are, and why it does not let us in."""

from __future__ import annotations

import logging
import ssl
from asyncio import IncompleteReadError
from pathlib import Path
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from schemas.errors import UserError
from streams.settings import PREFIX, Settings

ASK_SECONDS = 3.0
"""For one server to say why: it was asked before, so nobody waits for a slow one."""
_TLS_ALERT = b"\x15\x03"
"""What a server that expects TLS answers to anything else begins with: record type, version 3.x."""


class BrokerAway(KafkaConnectionError):  # type: ignore[misc]  # aiokafka has no types
    """No server could be reached; the message says why for each."""

    def __str__(self) -> str:
        return str(self.args[0])


def client_options(settings: Settings) -> dict[str, Any]:
    """What every client of aiokafka is given to reach the broker.

    Raises UserError where a certificate or key cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security in ("SSL", "SASL_SSL"):
        options["ssl_context"] = _tls(settings)
    if settings.kafka_password is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_user
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
        logging.getLogger("aiokafka.conn").addFilter(_has_no_password)
    return options


def _has_no_password(record: logging.LogRecord) -> bool:
    """False for requests to log in: at DEBUG aiokafka logs them, and PLAIN's has the password."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(type(one).__name__.startswith("SaslAuthenticate") for one in arguments)


def trusting(ca: Path | None, variable: str) -> ssl.SSLContext:
    """TLS that checks the server's certificate and name, by this CA or the system's.

    Raises UserError, with the ``variable`` that names the file, where it is no PEM.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise UserError(f"{variable}: {ca}: {_words(error)}; name a PEM file") from None


def _tls(settings: Settings) -> ssl.SSLContext:
    context = trusting(settings.kafka_ca, f"{PREFIX}KAFKA_CA")
    if settings.kafka_client_cert is not None:
        try:
            context.load_cert_chain(
                settings.kafka_client_cert,
                settings.kafka_client_key,
                # Without one OpenSSL would ask at the terminal.
                password="",
            )
        except OSError as error:
            raise UserError(
                f"{PREFIX}KAFKA_CLIENT_CERT, {PREFIX}KAFKA_CLIENT_KEY: {_words(error)}; name PEM "
                "files of a certificate and its key, not encrypted"
            ) from None
    return context


async def no_connection(settings: Settings) -> UserError | BrokerAway:
    """Why there was no connection: a UserError where trying again would not help.

    aiokafka says the same of a broker that is away and of one that refuses us. So each server is
    asked once more, until one says something.
    """
    options = client_options(settings)
    said = []
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers"), randomize=False):
        server = f"{host}:{port}"
        try:
            connection = await create_conn(
                host, port, request_timeout_ms=int(ASK_SECONDS * 1000), **options
            )
            try:
                # Before this a listener with SASL has not refused who comes without.
                await connection.send(MetadataRequest([]))
            finally:
                connection.close()
        except (OSError, KafkaError, TimeoutError) as error:
            if refused := _refusal(settings, server, error):
                return UserError(f"{PREFIX}{refused}")
            said.append(_absence(settings, server, error))
        else:
            said.append(f"{server} answers again")
    return BrokerAway("; ".join(said))


def _refusal(settings: Settings, server: str, error: BaseException) -> str | None:
    """The variable that is wrong, and why; None where the server may only be away."""
    match _cause(error):
        case SaslAuthenticationFailed():
            return (
                f"KAFKA_PASSWORD: {server} refuses user {settings.kafka_user!r} by "
                f"{settings.kafka_sasl_mechanism}; check user, password and mechanism"
            )
        case UnsupportedSaslMechanismError():
            return (
                f"KAFKA_SASL_MECHANISM: {server} does not take {settings.kafka_sasl_mechanism}; "
                "write one of those that its listener enables"
            )
        case IllegalSaslStateError():
            return f"KAFKA_SECURITY: {server} does not use SASL; write PLAINTEXT or SSL"
        case ssl.SSLCertVerificationError(verify_message=message) if "mismatch" in message:
            return f"KAFKA: {server}: {message}; write the name that the certificate is for"
        case ssl.SSLCertVerificationError(verify_message=message):
            return (
                f"KAFKA_CA: the certificate of {server} is not trusted: {message}; name the PEM "
                "file of the CA that signed it"
            )
        case ssl.SSLError(reason=str(reason)) if "CERTIFICATE" in reason:
            return (
                f"KAFKA_CLIENT_CERT: {server} demands a client certificate that it trusts "
                f"({_spelled(reason)})"
            )
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return None  # it hung up
        case ssl.SSLError(reason=reason):
            return f"KAFKA_SECURITY: no TLS with {server}: {_spelled(reason or 'no reason given')}"
        case IncompleteReadError(expected=int(size)) if size.to_bytes(8)[-4:-2] == _TLS_ALERT:
            return f"KAFKA_SECURITY: {server} speaks TLS; write SSL or SASL_SSL"
    return None


def _absence(settings: Settings, server: str, error: BaseException) -> str:
    security = settings.kafka_security
    match _cause(error):
        case ConnectionRefusedError():
            return f"no broker listens at {server}"
        case TimeoutError():
            return f"{server} does not answer within {ASK_SECONDS:g} s"
        case IncompleteReadError() if not security.startswith("SASL"):
            return f"{server} hangs up; it may demand SASL ({PREFIX}KAFKA_SECURITY is {security})"
        case ConnectionResetError() if security.endswith("SSL"):
            return f"{server} hangs up; it may not speak TLS ({PREFIX}KAFKA_SECURITY is {security})"
        case OSError(strerror=str(words)):
            return f"{server}: {words}"
    return f"{server}: {error!r}"


def _cause(error: BaseException) -> BaseException:
    """What is behind a connection that broke: aiokafka wraps it."""
    return (error.__cause__ if isinstance(error, KafkaConnectionError) else None) or error


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return _spelled(error.reason or "not PEM")
    return error.strerror or str(error)


def _spelled(reason: str) -> str:
    """OpenSSL's name of a reason, such as TLSV13_ALERT_CERTIFICATE_REQUIRED, in words."""
    return reason.lower().replace("_", " ")
