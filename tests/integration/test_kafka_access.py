"""A Kafka that demands TLS, users and certificates: every client of ours gets in, or says why not.

The broker is one node with a listener for each demand; see `tests/support/kafka_security.py`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import spendstream
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.errors import UserError
from streams.kafka import cluster_id, consumer, producer
from streams.kafka_access import BrokerAway, client_options, no_connection
from streams.settings import PREFIX, load_settings
from streams.stack.ports import Ports
from streams.traffic.publish import usage_producer
from tests.support.kafka_security import PASSWORDS, DemandingKafka

pytestmark = pytest.mark.slow

SECRET = "hunter2"  # part of every password that is used here


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


WAYS_IN = [
    *(("CLIENTS", mechanism) for mechanism in PASSWORDS),
    ("CLEAR", "PLAIN"),
    ("MUTUAL", None),
    ("BROKERS", None),
]


@pytest.mark.parametrize(("listener", "mechanism"), WAYS_IN)
async def test_admin_producers_and_consumer_get_in(
    demanding: DemandingKafka, listener: str, mechanism: str | None
):
    settings = load_settings(**demanding.access(listener, mechanism))
    assert await cluster_id(settings)
    topic = f"{listener}-{mechanism}"
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    for made in (producer(settings), usage_producer(settings)):
        await made.start()
        await made.send_and_wait(topic, b"let in")
        await made.stop()
    reader = consumer(settings, group=f"group-{topic}")
    await reader.start()
    try:
        reader.subscribe([topic])
        assert [(await reader.getone()).value for _ in range(2)] == [b"let in"] * 2
        await reader.commit({TopicPartition(topic, 0): 2})
    finally:
        await reader.stop()


OTHERS = {"kafka_password": "wrong-hunter2"}
REFUSALS = [
    *(("CLIENTS", m, OTHERS, "KAFKA_PASSWORD", "refuses user 'stage' by " + m) for m in PASSWORDS),
    ("CLIENTS", "PLAIN", {"kafka_user": "nobody"}, "KAFKA_PASSWORD", "refuses user 'nobody'"),
    ("CLEAR", "PLAIN", {"kafka_sasl_mechanism": "SCRAM-SHA-256"}, "KAFKA_SASL_MECHANISM", "SCRAM"),
    ("BROKERS", None, {"SASL": True}, "KAFKA_SECURITY", "does not use SASL"),
    ("CLIENTS", "PLAIN", {"kafka_ca": "other-ca"}, "KAFKA_CA", "unable to get local issuer"),
    ("CLIENTS", "PLAIN", {"kafka_ca": None}, "KAFKA_CA", "is not trusted"),
    ("CLIENTS", "PLAIN", {"kafka": "localhost"}, "KAFKA", "not valid for 'localhost'"),
    ("MUTUAL", None, {"CERTIFICATE": False}, "KAFKA_CLIENT_CERT", "demands a client certificate"),
    ("CLIENTS", None, {"kafka_ca": None}, "KAFKA_SECURITY", "speaks TLS; write SSL or SASL_SSL"),
    ("CLIENTS", "PLAIN", {"kafka_ca": "NO PEM"}, "KAFKA_CA", "no certificate or crl found"),
    ("MUTUAL", None, {"kafka_client_key": "NO PEM"}, "KAFKA_CLIENT_KEY", "PEM files"),
]


def refused(
    demanding: DemandingKafka, listener: str, mechanism: str | None, other: Mapping[str, Any]
) -> Any:
    """Settings that get in, but for one thing."""
    access = demanding.access(listener, mechanism)
    for name, value in other.items():
        if name == "SASL":
            sasl = demanding.access("CLEAR", "PLAIN")
            access = {**sasl, "kafka": access["kafka"]}
        elif name == "CERTIFICATE":
            access["kafka_client_cert"] = access["kafka_client_key"] = None
        elif value == "other-ca":
            access[name] = demanding.authority.other_ca
        elif value == "NO PEM":
            access[name] = Path(__file__)
        elif value == "localhost":
            access[name] = str(access["kafka"]).replace("127.0.0.1", "localhost")
        else:
            access[name] = value
    return access


@pytest.mark.parametrize(("listener", "mechanism", "other", "variable", "says"), REFUSALS, ids=str)
async def test_a_refusal_is_a_users_mistake_in_one_line(
    demanding: DemandingKafka,
    listener: str,
    mechanism: str | None,
    other: Mapping[str, Any],
    variable: str,
    says: str,
):
    settings = load_settings(**refused(demanding, listener, mechanism, other))
    with pytest.raises(UserError) as caught:
        await cluster_id(settings)
    message = str(caught.value)
    assert f"{PREFIX}{variable}: " in message
    assert says in message
    assert SECRET not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("CLIENTS", "PLAIN"), ("CLIENTS", "SCRAM-SHA-256"), ("MUTUAL", None)],
)
async def test_an_emitter_gets_in_by_what_it_is_told(
    demanding: DemandingKafka,
    listener: str,
    mechanism: str | None,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    topic = f"emitted-{mechanism}"
    access = demanding.access(listener, mechanism)
    admin = AIOKafkaAdminClient(**client_options(load_settings(**access)))
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with emitter(access, topic) as emitting:
        emitting.emit(provider="own", model="unit", team="search", input_tokens=1)
    assert emitting.stats.delivered == 1
    assert SECRET not in caplog.text


async def test_an_emitter_that_is_refused_says_so_once_and_why(
    demanding: DemandingKafka, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    emitting = emitter(demanding.access("CLIENTS", "PLAIN") | OTHERS, "refused")
    emitting.emit(provider="own", model="unit", team="search", input_tokens=1)
    stats = await emitting.aclose(1.5)
    assert (stats.delivered, stats.dropped_undelivered) == (0, 1)
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [line for line in warnings if "Invalid username or password" in line] == warnings[:1]
    assert SECRET not in caplog.text


def emitter(access: Mapping[str, Any], topic: str) -> spendstream.AsyncEmitter:
    """An emitter with the same access as a stage with these settings."""
    security = spendstream.Security(
        protocol=access["kafka_security"],
        mechanism=access.get("kafka_sasl_mechanism"),
        user=access.get("kafka_user"),
        password=access.get("kafka_password"),
        ca=access["kafka_ca"],
        client_cert=access.get("kafka_client_cert"),
        client_key=access.get("kafka_client_key"),
    )
    return spendstream.AsyncEmitter(f"kafka://{access['kafka']}", security=security, topic=topic)


@pytest.mark.parametrize(
    ("listener", "spoken", "says"),
    [
        ("CLEAR", "PLAINTEXT", "it may demand SASL"),
        ("CLIENTS", "SSL", "it may demand SASL"),
        ("BROKERS", "SSL", "it may not speak TLS"),
        (None, "PLAINTEXT", "no broker listens at"),
    ],
)
async def test_what_may_be_a_broker_that_is_away_is_tried_again_and_says_what_it_may_be(
    demanding: DemandingKafka, listener: str | None, spoken: str, says: str
):
    nobody = f"127.0.0.1:{Ports.free().broker}"
    address = nobody if listener is None else demanding.access(listener)["kafka"]
    ca = demanding.authority.ca if spoken == "SSL" else None
    settings = load_settings(kafka=address, kafka_security=spoken, kafka_ca=ca)
    with pytest.raises(BrokerAway, match=says) as caught:
        await cluster_id(settings)
    assert str(address) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_the_first_server_that_says_something_is_believed(demanding: DemandingKafka):
    access = demanding.access("CLIENTS", "PLAIN") | OTHERS
    nobody = f"127.0.0.1:{Ports.free().broker}"
    settings = load_settings(**{**access, "kafka": f"{nobody},{access['kafka']}"})
    assert "refuses user" in str(await no_connection(settings))
