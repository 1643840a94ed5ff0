from __future__ import annotations

import json
from datetime import UTC, datetime

from streams.web.cloudevents import posted
from tests.unit.imports.reading import SAMPLES, imported

FILE = "openmeter.json"


def test_the_events_are_those_that_the_endpoint_makes_of_them():
    found = imported(FILE, "openmeter", team="search")
    document = json.loads((SAMPLES / FILE).read_text())[0]
    same = posted(document, datetime(2026, 1, 1, tzinfo=UTC), enveloped=True)
    assert isinstance(same, dict)
    first = found.events[0]
    assert (first.event_id, first.input_tokens) == (same["event_id"], same["input_tokens"])
    assert [e.event_id for e in found.events] == ["gateway/1", "gateway/2", "litellm/3"]
    assert found.tally.tokens == 120 + 30 + 15
    assert found.events[2].customer == "acme"
    assert (found.events[1].tags or {})["score"] == "0.75"


def test_an_event_without_a_time_is_not_read():
    assert imported(FILE, "openmeter", team="search").reasons == {"no_time": 1}
