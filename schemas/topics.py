"""The topics of spendstream, and what each is for. The names are part of the public contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

USAGE = "llm.usage"
DEAD_LETTERS = "llm.usage.dlq"
JOURNAL = "llm.spend"
ALERTS = "llm.alerts"
QUOTAS = "llm.quotas"
OUTCOMES = "llm.outcomes"


APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
"""Records bear the broker's time in place of their producer's: it judges events from the future,
says when spend was recorded, and is what retention goes by: a producer with a wrong clock, or one
that sends old events, would have them removed at once. (The embedded broker keeps the producer's.)
"""
DEAD_LETTER_BYTES = 2_097_152
"""Twice what brokers take by default: the largest refused record must fit in with its reason."""


@dataclass(frozen=True, slots=True)
class Topic:
    """``partitions`` None: as many as the operator sets; the count is the meter's parallelism."""

    name: str
    partitions: int | None
    what: str
    config: Mapping[str, str] = field(default_factory=dict)


TOPICS: tuple[Topic, ...] = (
    Topic(USAGE, None, "usage events, one per call; key: team", APPEND_TIME),
    Topic(
        DEAD_LETTERS,
        1,
        "refused events with their reason",
        {"retention.ms": "-1", "max.message.bytes": str(DEAD_LETTER_BYTES)},
    ),
    Topic(JOURNAL, 1, "the spend journal", {"retention.ms": "-1", **APPEND_TIME}),
    Topic(ALERTS, 1, "alert transitions; key: alert id", {"cleanup.policy": "compact"}),
    Topic(
        QUOTAS,
        1,
        "what is left of budgets; key: the budget, or its member",
        {"cleanup.policy": "compact"},
    ),
    Topic(
        OUTCOMES, 3, "what became of calls and workflows; key: workflow, or the call", APPEND_TIME
    ),
)
"""The journal has one partition because its order is what every guarantee stands on."""

SOURCE_HEADER = "spendstream.source"
PARTITION_HEADER = "spendstream.partition"
OFFSET_HEADER = "spendstream.offset"
REASON_HEADER = "spendstream.reason"
DETAIL_HEADER = "spendstream.detail"
CUT_HEADER = "spendstream.cut"
"""Headers of a dead letter, after those that the record came with: where it came from, and why.
``spendstream.cut`` says the size and hash of a value that did not fit and was cut."""

DEAD_LETTER_HEADER = "spendstream.dead_letter"
"""Header of a usage event that is a dead letter sent again: the letter's id."""
