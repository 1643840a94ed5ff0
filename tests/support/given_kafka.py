"""The Apache Kafka that tests are given by environment variable, in place of one they start."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from aiokafka.admin import AIOKafkaAdminClient

from tests.support.waiting import wait_until

GIVEN = "SPENDSTREAM_TEST_KAFKA"
"""Bootstrap servers of a Kafka that is for tests only: **every topic llm.* there is DELETED**."""
REQUIRED = "SPENDSTREAM_REQUIRE_KAFKA"
"""1: where Apache Kafka can neither be started nor is given, tests that need it fail."""


def given_kafka() -> str | None:
    """Bootstrap servers that the environment gives; None where it gives none."""
    return os.environ.get(GIVEN) or None


def delete_topics(bootstrap: str) -> None:
    """DELETE every topic llm.* of this Kafka; returns when they are gone."""

    async def look(delete: bool) -> list[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            await admin.start()
            found = [name for name in await admin.list_topics() if name.startswith("llm.")]
            if found and delete:
                await admin.delete_topics(found)
        finally:
            await admin.close()
        return found

    # In a thread: whoever asks may be within an event loop.
    with ThreadPoolExecutor(1) as thread:
        if thread.submit(asyncio.run, look(True)).result():
            wait_until(
                "topics are deleted",
                lambda: not thread.submit(asyncio.run, look(False)).result(),
            )
