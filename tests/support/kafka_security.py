"""A Kafka that demands it all: TLS, users with passwords, and client certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.apache_kafka import KafkaCluster, Security
from tests.support.tls import Authority

USER = "stage"
PASSWORDS: Mapping[str, str] = {
    "PLAIN": "plain-hunter2",
    "SCRAM-SHA-256": "scram-256-hunter2",
    "SCRAM-SHA-512": "scram-512-hunter2",
}
"""Of `USER`: another one for each mechanism, so that none can pass for another."""

_LOGIN = "org.apache.kafka.common.security"


def demanding_kafka(folder: Path, authority: Authority) -> KafkaCluster:
    """One node, not started. Its listeners, each of which refuses who does not come as it demands:

    CLIENTS: SASL_SSL with every mechanism. CLEAR: SASL_PLAINTEXT with PLAIN alone. MUTUAL: SSL with
    a client certificate. BROKERS: plaintext.
    """
    properties = {
        "listener.name.clients.sasl.enabled.mechanisms": ",".join(PASSWORDS),
        "listener.name.clear.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.mutual.ssl.client.auth": "required",
    }
    for listener in ("clients", "mutual"):
        for store, file in (("keystore", authority.server), ("truststore", authority.ca)):
            properties[f"listener.name.{listener}.ssl.{store}.type"] = "PEM"
            properties[f"listener.name.{listener}.ssl.{store}.location"] = str(file)
    plain = f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORDS["PLAIN"]}";'
    for listener in ("clients", "clear"):
        properties[f"listener.name.{listener}.plain.sasl.jaas.config"] = plain
    scram = [mechanism for mechanism in PASSWORDS if mechanism.startswith("SCRAM")]
    for mechanism in scram:
        key = f"listener.name.clients.{mechanism.lower()}.sasl.jaas.config"
        properties[key] = f"{_LOGIN}.scram.ScramLoginModule required;"
    users = [
        ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORDS[mechanism]}]")
        for mechanism in scram
    ]
    return KafkaCluster(
        folder,
        security=Security(
            "SASL_SSL",
            properties,
            format_options=tuple(word for user in users for word in user),
            more={"CLEAR": "SASL_PLAINTEXT", "MUTUAL": "SSL"},
        ),
    )


@dataclass(frozen=True)
class DemandingKafka:
    """A Kafka as `demanding_kafka` makes it, and settings that get into it."""

    cluster: KafkaCluster
    authority: Authority

    def access(self, listener: str, mechanism: str | None = None) -> dict[str, object]:
        """What gets in at a listener; by a mechanism, where that is what it demands."""
        bootstrap = self.cluster.bootstrap
        found: dict[str, object] = {
            "kafka": bootstrap if listener == "CLIENTS" else self.cluster.listener(listener)
        }
        if mechanism is not None:
            found |= {
                "kafka_security": "SASL_SSL" if listener == "CLIENTS" else "SASL_PLAINTEXT",
                "kafka_sasl_mechanism": mechanism,
                "kafka_user": USER,
                "kafka_password": PASSWORDS[mechanism],
            }
        if listener in ("CLIENTS", "MUTUAL"):
            found["kafka_ca"] = self.authority.ca
        if listener == "MUTUAL":
            found |= {
                "kafka_security": "SSL",
                "kafka_client_cert": self.authority.client_cert,
                "kafka_client_key": self.authority.client_key,
            }
        return found
