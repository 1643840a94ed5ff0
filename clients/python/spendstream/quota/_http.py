"""Quotas by HTTP: the lines of ``GET <base>/v1/quotas``, which does not end."""

from __future__ import annotations

import json
import logging
from importlib.metadata import version
from typing import Any

import httpx2

from spendstream._courier import words
from spendstream.quota._records import Stamp, read_stamp
from spendstream.quota._source import Away, Reading

_log = logging.getLogger("spendstream")

CONNECT_TIMEOUT = 5.0
SILENCE_TIMEOUT = 15.0
"""Seconds. The server has a line every 5: whoever is silent for three of them is gone."""
_SHOWN = 300


class HttpSource:
    """``base``: of the server. ``token`` is never shown."""

    def __init__(self, base: str, token: str | None) -> None:
        try:
            self._url = httpx2.URL(f"{base}/v1/quotas")
        except httpx2.InvalidURL as error:
            raise ValueError(f"the HTTP URL is not valid: {error}") from None
        self._headers = {"User-Agent": f"spendstream-client/{version('spendstream-client')}"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    async def read(self, reading: Reading) -> None:
        """Read until cancelled. Raises Away."""
        timeout = httpx2.Timeout(SILENCE_TIMEOUT, connect=CONNECT_TIMEOUT)
        try:
            async with (
                httpx2.AsyncClient(headers=self._headers, timeout=timeout) as client,
                client.stream("GET", self._url) as answer,
            ):
                if answer.status_code != 200:
                    raise Away(_said(answer.status_code, await answer.aread()))
                async for line in answer.aiter_lines():
                    _take(line, reading)
        except (httpx2.RequestError, OSError) as error:
            raise Away(words(error)) from None
        raise Away("the server has ended the stream")


def _take(line: str, reading: Reading) -> None:
    try:
        said = json.loads(line)
        if "key" in said:
            reading.record(str(said["key"]), said["value"], _stamp(said.get("as_of")))
        elif said.get("ready") is True:
            reading.caught_up()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _log.debug("a line of quotas is passed over: %s", words(error))


def _stamp(said: Any) -> Stamp | None:
    return None if said is None else read_stamp(said)


def _said(status: int, body: bytes) -> str:
    """What the server gave as its reason."""
    try:
        reason = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        reason = body.decode("utf-8", "replace")
    return f"HTTP {status}: {' '.join(reason.split())[:_SHOWN]}"
