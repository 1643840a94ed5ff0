"""Getting into Kafka and ClickHouse: which settings are for it, and which of them fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.settings import Settings

SECURITY = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
"""What a Kafka listener may speak, by Kafka's own names (`security.protocol`)."""
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SASL = ("kafka_sasl_mechanism", "kafka_user", "kafka_password")
_TLS = ("kafka_ca", "kafka_client_cert", "kafka_client_key")
OPTIONAL = (*_SASL, *_TLS, "clickhouse_reader", "clickhouse_ca")
"""Settings for a broker or a ClickHouse that demands them; None elsewhere."""

EMBEDDED_READER = "reader"
EMBEDDED: Mapping[str, Mapping[str, object]] = {
    "kafka": {"kafka_security": "PLAINTEXT", **dict.fromkeys((*_SASL, *_TLS))},
    "clickhouse": {
        "clickhouse_ca": None,
        "clickhouse_reader": EMBEDDED_READER,
        "clickhouse_reader_password": "",
    },
}
"""How the embedded broker and ClickHouse are got into: what is set otherwise is for others."""
_FILES = ("kafka_ca", "kafka_client_cert", "kafka_client_key", "clickhouse_ca")


def one_of(known: Sequence[str], value: str) -> str:
    """``value`` in the case of ``known``. Raises ValueError that names them."""
    if value.upper() not in known:
        raise ValueError(f"{value!r} is not known; write {', '.join(known[:-1])} or {known[-1]}")
    return value.upper()


def mistakes(settings: Settings, variable: Callable[[str], str]) -> Iterator[str]:
    """What does not go together, a line each. ``variable``: what a setting is called outside."""
    security, chosen = settings.kafka_security, variable("kafka_security")
    for part, names in (("SASL", _SASL), ("SSL", _TLS)):
        right = [one for one in SECURITY if part in one.split("_")]
        for name in names:
            given = getattr(settings, name) is not None
            if given and security not in right:
                yield (
                    f"{variable(name)}: is of no use, as {chosen} is {security}; write "
                    f"{' or '.join(right)} there"
                )
            if part == "SASL" and security in right and not given:
                yield f"{variable(name)}: is not set, and {chosen}={security} needs it"
    if (settings.kafka_client_cert is None) != (settings.kafka_client_key is None):
        yield (
            f"{variable('kafka_client_cert')}, {variable('kafka_client_key')}: one is set without "
            "the other; set both, to the same file where it holds both"
        )
    if settings.clickhouse_ca is not None and not settings.clickhouse.startswith("https://"):
        yield (
            f"{variable('clickhouse_ca')}: is of no use without TLS; write "
            f"{variable('clickhouse')}=https://host:port"
        )
    if settings.clickhouse_reader is None and settings.clickhouse_reader_password:
        password = variable("clickhouse_reader_password")
        yield f"{password}: is set without {variable('clickhouse_reader')}; set both"
    for name in _FILES:
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            yield f"{variable(name)}: {path} is no file; name a PEM file"
