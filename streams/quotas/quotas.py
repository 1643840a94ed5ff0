"""The quotas of one guard process: read from the topic by each, published by the active one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from schemas.errors import UserError
from streams.budgets.budgets import Budgets
from streams.guard.concern import AsOf
from streams.kafka import producer
from streams.quotas.answer import NotRead, answer
from streams.quotas.outbox import Outbox
from streams.quotas.publisher import QuotaPublisher
from streams.quotas.pulse import Pulse
from streams.quotas.reader import read_quotas
from streams.quotas.table import QuotaTable
from streams.settings import Settings
from streams.stage import persist
from streams.together import until_one_ends

Answer = tuple[int, str]
"""HTTP status and a body, JSON."""


class Quotas:
    """Answers from memory. Connects when it is run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table = QuotaTable()
        self._outbox = Outbox()
        self._publisher = QuotaPublisher(self._table, self._outbox.put)
        self._pulse = Pulse(self._table, self._outbox.put)

    async def run(self, stop: asyncio.Event) -> None:
        """Read and publish until ``stop`` is set. Raises Stopped where it was waiting then."""
        sender = producer(self._settings)
        try:
            await persist("connecting for quotas", sender.start, stop, abandon=True)
            await until_one_ends(
                read_quotas(self._settings, self._table, stop), self._outbox.deliver(sender, stop)
            )
        finally:
            await sender.stop()

    def follow(self, budgets: Budgets, at: AsOf) -> None:
        """Publish what is new as of this entry. For the active guard; it does not wait."""
        now = datetime.now(UTC)
        self._publisher.follow(budgets, at, now)
        self._pulse.beat(at, now)

    def answer(self, parameters: Iterable[tuple[str, str]]) -> Answer:
        """May a call with these attributes be made? From any thread."""
        try:
            return 200, answer(self._table, parameters).model_dump_json()
        except UserError as error:
            return _refusal(400, str(error))
        except NotRead as error:
            return _refusal(503, str(error))


def _refusal(status: int, error: str) -> Answer:
    return status, json.dumps({"error": error})
