"""Confluent framing with a registry that is a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.avro_files import newest_usage_schema
from schemas.batch import decode_batch
from schemas.wire import decode, encode_confluent
from streams.schema_registry import RegistryUnavailable, SchemaRegistry, schema_lookup
from streams.settings import load_settings
from tests.corpus import valid_examples

KNOWN, NOT_AVRO, UNKNOWN, FAILING = 7, 8, 404, 500


class Registry(ThreadingHTTPServer):
    """Answers `/schemas/ids/{id}` as a Confluent-compatible registry does, and counts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = {
            f"/schemas/ids/{KNOWN}": (200, {"schema": newest_usage_schema().text}),
            f"/schemas/ids/{NOT_AVRO}": (200, {"schema": '{"type": "nonsense"}'}),
            f"/schemas/ids/{FAILING}": (500, {"error_code": 50001}),
        }
        status, body = answers.get(self.path, (404, {"error_code": 40403}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the test's output clean."""


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def event() -> bytes:
    example = next(e for e in valid_examples() if e.framing == "single_object")
    return encode_confluent(decode(example.value), KNOWN)


def test_a_schema_is_asked_for_once(registry: Registry) -> None:
    lookup = SchemaRegistry(registry.url + "/")
    decoded = decode_batch([event()] * 50, lookup)
    assert decoded.events.height == 50
    assert decoded.refusals == {}
    assert registry.asked == [f"/schemas/ids/{KNOWN}"]


@pytest.mark.parametrize("schema_id", [UNKNOWN, NOT_AVRO])
def test_an_event_under_a_schema_of_no_use_is_refused(registry: Registry, schema_id: int) -> None:
    value = b"\x00" + schema_id.to_bytes(4, "big") + event()[5:]
    decoded = decode_batch([event(), value], SchemaRegistry(registry.url))
    assert decoded.events.height == 1
    assert decoded.refusals[1].code == "unknown_schema"
    assert str(schema_id) in decoded.refusals[1].detail


def test_a_registry_that_fails_refuses_no_event(registry: Registry) -> None:
    value = b"\x00" + FAILING.to_bytes(4, "big") + event()[5:]
    with pytest.raises(RegistryUnavailable, match="500"):
        decode_batch([event(), value], SchemaRegistry(registry.url))


def test_a_registry_that_is_away_refuses_no_event(registry: Registry) -> None:
    url = registry.url
    registry.server_close()
    with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1"):
        decode_batch([event()], SchemaRegistry(url))


def test_without_a_registry_the_reason_names_the_id() -> None:
    decoded = decode_batch([event()], schema_lookup(load_settings()))
    assert f"id {KNOWN}" in decoded.refusals[0].detail
