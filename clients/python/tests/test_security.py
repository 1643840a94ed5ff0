"""What is said of a broker that demands something, and that a password stays where it is."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
import trustme
from aiokafka.protocol.admin import SaslAuthenticateRequest
from spendstream import Emitter, Security
from spendstream._security import PREFIX

SASL = Security(protocol="SASL_PLAINTEXT", mechanism="PLAIN", user="app", password="hunter2")


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    return file


def test_without_any_word_it_is_plaintext():
    assert Security.from_environment({}).options() == {"security_protocol": "PLAINTEXT"}


def test_the_environment_says_it_by_the_servers_names(ca: Path):
    said = {
        "SECURITY": "sasl_ssl",
        "SASL_MECHANISM": "scram-sha-512",
        "USER": "app",
        "PASSWORD": "hunter2",
        "CA": str(ca),
        "CLIENT_CERT": "",
    }
    options = Security.from_environment({PREFIX + n: v for n, v in said.items()}).options()
    context = options.pop("ssl_context")
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "app",
        "sasl_plain_password": "hunter2",
    }
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1


def test_it_prints_without_the_password():
    assert "hunter2" not in f"{SASL} {SASL!r}"
    assert "app" in repr(SASL)


@pytest.mark.parametrize(
    ("security", "says"),
    [
        (Security(protocol="TLS"), "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        (Security(protocol="SASL_PLAINTEXT", user="app", password="hunter2"), "SCRAM-SHA-512 is"),
        (Security(protocol="SASL_PLAINTEXT", mechanism="PLAIN", user="app"), "user and password"),
        (Security(protocol="SSL", user="app", password="hunter2"), "a user is for SASL"),
        (Security(protocol="PLAINTEXT", ca="ca.pem"), "certificates are for TLS"),
        (Security(protocol="SSL", ca="/no/such.pem"), "No such file"),
        (Security(protocol="SSL", ca=__file__), "PEM files are understood"),
        (Security(protocol="SSL", client_cert=__file__), "belong together"),
    ],
)
def test_a_mistake_is_one_line_from_the_emitter_itself(security: Security, says: str):
    with pytest.raises(ValueError, match=r"^Security: ") as caught:
        Emitter("kafka://localhost:9092", security=security)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_environment_is_not_asked_where_the_caller_says_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"{PREFIX}SECURITY", "nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        Emitter("kafka://localhost:9092")
    Emitter("kafka://localhost:1", security=Security(protocol="PLAINTEXT")).close(0)


def test_aiokafka_does_not_log_the_password(caplog: pytest.LogCaptureFixture):
    log = logging.getLogger("aiokafka.conn")
    request = SaslAuthenticateRequest(b"\0app\0hunter2").prepare({36: (0, 1)})
    SASL.options()
    with caplog.at_level(logging.DEBUG, logger="aiokafka.conn"):
        log.debug("Request to %s:%d %d: %s", "broker", 9092, 1, request)
        log.debug("Request to %s:%d %d: %s", "broker", 9092, 2, "another one")
    assert [record.getMessage() for record in caplog.records] == [
        "Request to broker:9092 2: another one"
    ]
