"""Several things that one stage does at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_one_ends(*bodies: Coroutine[Any, Any, None]) -> None:
    """Run all until one has ended; its error, if any. The others are cancelled, and waited for."""
    tasks = [asyncio.create_task(body) for body in bodies]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
