"""The quotas of one guard process: read from the topic by each, published by the active one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

from schemas.errors import UserError
from schemas.quotas import QuotaAnswer
from streams.budgets.budgets import Budgets
from streams.guard.concern import AsOf
from streams.kafka import producer
from streams.metrics import QUOTA_ANSWERS
from streams.quotas.decide import decide
from streams.quotas.outbox import Outbox
from streams.quotas.publisher import QuotaPublisher
from streams.quotas.question import read_question
from streams.quotas.reader import read_quotas
from streams.quotas.table import QuotaTable
from streams.settings import Settings
from streams.stage import persist

Answer = tuple[int, str]
"""HTTP status and a body, JSON."""


class Quotas:
    """Answers from memory. Connects when it is run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table = QuotaTable()
        self._outbox = Outbox()
        self._publisher = QuotaPublisher(self._table, self._outbox.put)

    async def run(self, stop: asyncio.Event) -> None:
        """Read and publish until ``stop`` is set. Raises Stopped where it was waiting then."""
        sender = producer(self._settings)
        try:
            await persist("connecting for quotas", sender.start, stop, abandon=True)
            await _until_one_ends(
                read_quotas(self._settings, self._table, stop), self._outbox.deliver(sender, stop)
            )
        finally:
            await sender.stop()

    def follow(self, budgets: Budgets, at: AsOf) -> None:
        """Publish what is new as of this entry. For the active guard; it does not wait."""
        self._publisher.follow(budgets, at, datetime.now(UTC))

    def answer(self, parameters: Iterable[tuple[str, str]]) -> Answer:
        """May a call with these attributes be made? From any thread."""
        try:
            question = read_question(parameters)
        except UserError as error:
            return _refusal(400, str(error))
        if not self._table.ready:
            return _refusal(503, "the quotas are still being read; try again")
        definitions = list(self._table.definitions.values())
        answer = decide(definitions, self._table.members, question, datetime.now(UTC))
        QUOTA_ANSWERS.labels(_in_a_word(answer)).inc()
        return 200, answer.model_dump_json()


def _in_a_word(answer: QuotaAnswer) -> str:
    if not answer.allowed:
        return "refused"
    return "allowed" if answer.degrade_to is None else "degraded"


def _refusal(status: int, error: str) -> Answer:
    return status, json.dumps({"error": error})


async def _until_one_ends(*bodies: Coroutine[Any, Any, None]) -> None:
    """Run all until one has ended; its error, if any."""
    tasks = [asyncio.create_task(body) for body in bodies]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
