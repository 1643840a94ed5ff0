"""Histograms of token usage: one event per delta point, and never one that may be counted twice."""

from __future__ import annotations

import pytest

from schemas.errors import Refusal
from schemas.usage import checked
from streams.otel.metrics import map_metrics
from tests.support.otlp import token_usage

INPUT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.token.type": "input",
}


def test_a_delta_point_is_an_estimate_of_one_side():
    (usage,) = map_metrics(token_usage(INPUT, 420.0))
    event = checked(usage.fields)
    assert (event.input_tokens, event.output_tokens) == (420, None)
    assert (event.usage_source, event.provider, event.model) == ("estimated", "openai", "gpt-4o")
    assert (event.team, event.application) == ("search", "agent")
    assert event.tags == {"otel.metric": "gen_ai.client.token.usage", "otel.calls": "3"}
    (output,) = map_metrics(token_usage(INPUT | {"gen_ai.token.type": "output"}, 7.0))
    assert checked(output.fields).output_tokens == 7


def test_a_point_that_is_sent_again_is_the_same_event_and_another_is_not():
    def ids(*requests):
        return [map_metrics(request)[0].fields["event_id"] for request in requests]

    same = ids(token_usage(INPUT, 1.0), token_usage(dict(reversed(INPUT.items())), 1.0))
    others = ids(
        token_usage(INPUT | {"gen_ai.token.type": "output"}, 1.0),
        token_usage(INPUT, 1.0, resource={"service.instance.id": "2"}),
        token_usage(INPUT | {"server.port": 443}, 1.0),
    )
    assert same[0] == same[1]
    assert len({same[0], *others}) == 4


def test_a_cumulative_point_is_refused_with_what_to_set():
    (usage,) = map_metrics(token_usage(INPUT, 420.0, cumulative=True))
    assert isinstance(usage.fields, Refusal)
    assert "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta" in usage.fields.detail


@pytest.mark.parametrize(
    ("attributes", "total"),
    [
        ({"gen_ai.token.type": "cached"}, 1.0),
        ({"gen_ai.token.type": ""}, 1.0),
        ({}, 1.5),
        ({}, -1.0),
        ({}, float("nan")),
        ({}, float("inf")),
    ],
)
def test_a_point_that_cannot_be_read_is_refused(attributes, total):
    (usage,) = map_metrics(token_usage(INPUT | attributes, total))
    assert isinstance(usage.fields, Refusal)


def test_what_is_no_usage_is_ignored():
    assert map_metrics(token_usage(INPUT, 0.0)) == []
    assert map_metrics(token_usage(INPUT | {"gen_ai.operation.name": "invoke_agent"}, 5.0)) == []
    assert map_metrics(token_usage(INPUT, 5.0, name="gen_ai.client.operation.duration")) == []
