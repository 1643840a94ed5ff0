"""The answer to a gateway from a table: the same whoever serves it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from schemas.errors import SpendstreamError
from schemas.quotas import QuotaAnswer
from streams.metrics import QUOTA_ANSWERS
from streams.quotas.decide import decide
from streams.quotas.question import read_question
from streams.quotas.table import QuotaTable


class NotRead(SpendstreamError):
    """This process has just started and does not know yet what the topic says."""

    def __init__(self) -> None:
        super().__init__("the quotas are still being read; try again")


def answer(table: QuotaTable, parameters: Iterable[tuple[str, str]]) -> QuotaAnswer:
    """May a call with these attributes be made? From any thread.

    Raises UserError for a question that is none, and NotRead.
    """
    question = read_question(parameters)
    if not table.ready:
        raise NotRead
    now = datetime.now(UTC)
    # Copied: another thread may write meanwhile.
    definitions = list(table.definitions.values())
    found = decide(definitions, table.members, question, now, table.age_seconds(now))
    QUOTA_ANSWERS.labels(_in_a_word(found)).inc()
    return found


def _in_a_word(found: QuotaAnswer) -> str:
    if not found.allowed:
        return "refused"
    return "allowed" if found.degrade_to is None else "degraded"
