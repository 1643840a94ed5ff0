"""Which spans are billed calls. A span that adds up calls, or repeats one, is no usage.

Only what is in one request is looked at: spans of a trace may come in several, in any order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.errors import InvalidEvent
from streams.otel import names
from streams.otel.attributes import Attributes
from streams.otel.tokens import Reported

OPERATION = "gen_ai.operation.name"
CALLS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
OTHER_CALLS = frozenset(
    {"completion", "embedding", "chat.completions", "text.completions", "responses", "message"}
)
"""How some instrumentations spell them."""
AGGREGATES = frozenset(
    {
        *("create_agent", "invoke_agent", "invoke_workflow", "plan", "execute_tool", "retrieval"),
        *("fetch_response", "create_memory_store", "delete_memory_store", "create_memory"),
        *("update_memory", "upsert_memory", "delete_memory", "search_memory"),
    }
)
"""Operations of the conventions that add up calls, or are none."""

KINDS = {
    "openinference.span.kind": frozenset({"llm", "embedding"}),
    "langsmith.span.kind": frozenset({"llm", "embedding"}),
    "llm.request.type": frozenset({"chat", "completion", "embedding"}),
    "traceloop.span.kind": frozenset[str](),
}
"""Attributes that say what a span is where it has no operation → their values for a call, in lower
case. OpenLLMetry puts its kind on workflows, tasks, agents and tools only."""
VERCEL_OPERATION = "ai.operationId"
VERCEL_MODEL = ("ai.model.id",)
"""Its early versions have no operation; the span's name says the same."""
VERCEL_CALLS = (".doGenerate", ".doStream", ".doEmbed")
"""Ends of the operations of Vercel's AI SDK that ask a provider; `ai.generateText` adds up."""

SpanId = tuple[bytes, bytes]


class Role(Enum):
    """What a span is to a meter."""

    CALL = auto()
    """It says that it is a billed call."""
    PERHAPS = auto()
    """It says nothing, but has a provider and tokens: a call, unless it holds one."""
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """A span that is a billed call, with what its attributes say."""

    span: Span
    attributes: Attributes
    resource: Attributes
    role: Role
    models: frozenset[str]
    """That answered, that was asked for: where they are known."""
    response_id: str | None
    reported: Reported

    @property
    def sides(self) -> tuple[int, int]:
        """Tokens of prompt and answer as they were reported."""
        return self.reported.input or 0, self.reported.output or 0


def role(span: Span, attributes: Attributes) -> Role:
    """What the span is. Raises InvalidEvent where it has tokens under an operation nobody knows."""
    kinds = {name: value.lower() for name in KINDS if (value := attributes.text(name)) is not None}
    if any(value not in KINDS[name] for name, value in kinds.items()):
        return Role.NONE
    vercel = attributes.text(VERCEL_OPERATION)
    if vercel is None and span.name.startswith("ai.") and attributes.has(VERCEL_MODEL):
        vercel = span.name
    if vercel is not None and not vercel.endswith(VERCEL_CALLS):
        return Role.NONE
    has_tokens = attributes.has(names.INPUT + names.OUTPUT)
    if operation := attributes.text(OPERATION):
        if operation in CALLS | OTHER_CALLS:
            return Role.CALL
        if operation in AGGREGATES or not has_tokens:
            return Role.NONE
        raise InvalidEvent(
            "invalid_field",
            f"{OPERATION} is '{operation[:80]}', which is not known to be a billed call",
        )
    if kinds or vercel:
        return Role.CALL
    says_who = attributes.text("gen_ai.provider.name", "gen_ai.system") is not None
    return Role.PERHAPS if says_who and has_tokens else Role.NONE


def span_id(span: Span) -> SpanId:
    """Trace and span id, which name it."""
    return span.trace_id, span.span_id


def innermost(calls: Sequence[Call], spans: Iterable[Span]) -> list[Call]:
    """The calls without those that wrap others of them, so that each counts once.

    A call that holds calls is a wrapper if it does not say itself that it is a call, or has no
    tokens, or has the response id of one of them, or the tokens of one or of all of them and no
    other model. A call that has tokens where none of those that it holds has counts instead of
    them: only the outer instrumentation saw the usage.
    """
    held = _held(calls, spans)
    dropped: set[SpanId] = set()
    for call in calls:
        inner = held.get(span_id(call.span), [])
        if _wraps(call, inner):
            dropped.add(span_id(call.span))
        elif not any(one.reported.known for one in inner):
            dropped.update(span_id(one.span) for one in inner)
    return [call for call in calls if span_id(call.span) not in dropped]


def _wraps(call: Call, held: Sequence[Call]) -> bool:
    if not held:
        return False
    if call.role is Role.PERHAPS or not call.reported.known:
        return True
    if call.response_id is not None and any(one.response_id == call.response_id for one in held):
        return any(one.reported.known for one in held)
    alike = [one.sides for one in held if _may_be_one_model(call, one) and one.reported.known]
    total = (sum(side[0] for side in alike), sum(side[1] for side in alike))
    return bool(alike) and call.sides in (*alike, total)


def _may_be_one_model(call: Call, inner: Call) -> bool:
    return not call.models or not inner.models or bool(call.models & inner.models)


def _held(calls: Sequence[Call], spans: Iterable[Span]) -> Mapping[SpanId, list[Call]]:
    """Calls by the nearest call around them, through spans that are none. Each span is met once."""
    parents = {span_id(span): (span.trace_id, span.parent_span_id) for span in spans}
    ids = {span_id(call.span) for call in calls}
    around: dict[SpanId, SpanId | None] = {}
    held: dict[SpanId, list[Call]] = defaultdict(list)
    for call in calls:
        start = span_id(call.span)
        path = [start]
        at = parents[start]
        while at not in ids and at not in around and at in parents:
            around[at] = None  # ends a circle of parents
            path.append(at)
            at = parents[at]
        nearest = at if at in ids else around.get(at)
        around.update(dict.fromkeys(path[1:], nearest))
        if nearest is not None and nearest != start:
            held[nearest].append(call)
    return held
