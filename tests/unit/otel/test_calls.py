"""Which spans are usage, and which of two around each other."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import Refusal
from streams.otel.spans import map_spans
from tests.support.otlp import span, traces


def chat(tokens: int | None = 10, **more: Any) -> dict[str, Any]:
    usage = {} if tokens is None else {"gen_ai.usage.input_tokens": tokens}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        **usage,
        **{name.replace("__", "."): value for name, value in more.items()},
    }


PLAIN = {"http.request.method": "POST"}


def counted(*spans: Any) -> list[int]:
    """Numbers of the spans that are usage."""
    found = [usage.fields for usage in map_spans(traces(*spans))]
    assert not any(isinstance(fields, Refusal) for fields in found), found
    return sorted(int(fields["event_id"].rpartition(":")[2], 16) for fields in found)


@pytest.mark.parametrize("operation", ["chat", "text_completion", "generate_content", "embeddings"])
def test_an_operation_that_is_billed_is_usage(operation):
    assert counted(span({**chat(), "gen_ai.operation.name": operation})) == [1]


@pytest.mark.parametrize(
    "attributes",
    [
        PLAIN,
        *(
            chat(gen_ai__operation__name=operation)
            for operation in ("invoke_agent", "create_agent", "execute_tool", "invoke_workflow")
        ),
        chat(gen_ai__operation__name="fetch_response"),
        chat(openinference__span__kind="CHAIN"),
        chat(openinference__span__kind="AGENT"),
        chat(langsmith__span__kind="chain"),
        chat(traceloop__span__kind="workflow"),
        chat(ai__operationId="ai.generateText"),
        {"gen_ai.operation.name": "guardrail", "gen_ai.system": "openai"},
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"},
        {"openinference.span.kind": "RERANKER", "llm.token_count.prompt": 3},
    ],
)
def test_a_span_that_adds_up_or_is_no_call_is_no_usage(attributes):
    assert map_spans(traces(span(attributes))) == []


def test_vercel_without_an_operation_is_told_by_the_span_name():
    attributes = {"ai.model.id": "gpt-4o", "ai.model.provider": "openai", "ai.usage.tokens": 3}
    outer = span(attributes, "ai.embed", 1)
    assert counted(outer, span(attributes, "ai.embed.doEmbed", 2, parent=1)) == [2]
    assert counted(span(chat(ai__model__id="gpt-4o"), "chat gpt-4o")) == [1]


def test_tokens_under_an_operation_that_nobody_knows_are_refused_not_lost():
    (usage,) = map_spans(traces(span(chat(gen_ai__operation__name="dream"), "dream gpt-4o")))
    assert isinstance(usage.fields, Refusal)
    assert str(usage.fields) == (
        "invalid_field: gen_ai.operation.name is 'dream', which is not known to be a billed call"
    )
    assert usage.what == "span 'dream gpt-4o'"


def test_an_instrumentation_around_another_counts_once():
    framework = span(chat(response__id=1), "framework", 1)
    between = span(PLAIN, "POST", 2, parent=1)
    assert counted(framework, between, span(chat(), "provider", 3, parent=2)) == [3]
    assert counted(span(chat(), "provider", 3, parent=2), between, framework) == [3]


def test_the_same_response_id_is_the_same_call_whatever_the_tokens():
    outer = span(chat(11, gen_ai__response__id="r"), number=1)
    assert counted(outer, span(chat(gen_ai__response__id="r"), number=2, parent=1)) == [2]


def test_the_sum_of_several_calls_is_no_call():
    calls = [span(chat(tokens), number=n, parent=1) for n, tokens in ((2, 10), (3, 32))]
    assert counted(span(chat(42), number=1), *calls) == [2, 3]


def test_another_call_inside_a_call_counts_too():
    outer = span(chat(500, gen_ai__response__id="a"), number=1)
    inner = span(chat(10, gen_ai__response__id="b"), number=2, parent=1)
    assert counted(outer, inner) == [1, 2]
    other_model = chat(10) | {"gen_ai.request.model": "claude-sonnet-4-5"}
    assert counted(span(chat(10), number=1), span(other_model, number=2, parent=1)) == [1, 2]


def test_a_span_that_does_not_say_what_it_is_counts_unless_it_holds_a_call():
    silent = {"gen_ai.system": "openai", "gen_ai.usage.prompt_tokens": 99}
    assert counted(span(silent)) == [1]
    assert counted(span(silent), span(chat(), number=2, parent=1)) == [2]


def test_of_two_the_one_that_saw_the_usage_counts():
    assert counted(span(chat(None)), span(chat(), number=2, parent=1)) == [2]
    assert counted(span(chat()), span(chat(None), number=2, parent=1)) == [1]
    assert counted(span(chat(None)), span(chat(None), number=2, parent=1)) == [2]


def test_retries_inside_a_call_are_attempts_of_their_own():
    failed = span(chat(None, error__type="429"), number=2, parent=1, failed=True)
    assert counted(span(chat(), number=1), failed, span(chat(), number=3, parent=1)) == [2, 3]


def test_a_parent_in_another_request_changes_nothing():
    assert counted(span(chat(), number=2, parent=1)) == [2]


def test_a_span_that_is_its_own_parent_counts():
    assert counted(span(chat(), number=1, parent=1)) == [1]
    circle = [span(PLAIN, number=2, parent=3), span(PLAIN, number=3, parent=2)]
    assert counted(*circle, span(chat(), number=4, parent=2)) == [4]


def test_a_deep_trace_is_looked_at_once():
    depth = 20_000
    chain = [span(PLAIN, number=n, parent=n - 1) for n in range(2, depth)]
    calls = [span(chat(1), number=depth + n, parent=depth - 1) for n in range(200)]
    found = counted(span(chat(200), number=1), *chain, *calls)
    assert found == list(range(depth, depth + 200))
