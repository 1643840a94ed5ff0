"""One HTTP attempt at a call, from its request to the event that it becomes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

from spendstream._event import new_event_id
from spendstream._fields import Status, UsageFields
from spendstream._instrument_answer import Answer
from spendstream._instrument_calls import Call
from spendstream.usage import read_usage

_log = logging.getLogger("spendstream")

RETRY_COUNT = "x-stainless-retry-count"
"""Header in which the official clients say how many attempts at this call came before."""
UNKNOWN_MODEL = "unknown"
"""Where neither request nor answer names one, as in an upload that failed. It has no price."""
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt that ended last in a context: what a retry in the same context repeats."""

    event_id: str
    number: int


_last: ContextVar[Ended | None] = ContextVar("spendstream.attempt", default=None)


class Faults:
    """Our own mistakes: counted, and logged at the first, the tenth, the hundredth and so on."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, doing: str) -> None:
        """Count the exception that is being handled."""
        self.count += 1
        if str(self.count).rstrip("0") == "1":
            _log.exception("a call could not be metered (%s); %d so far", doing, self.count)


def _harmless(
    method: Callable[Concatenate[Attempt, _P], None],
) -> Callable[Concatenate[Attempt, _P], None]:
    """What goes wrong in metering a call must not break the call."""

    def guarded(attempt: Attempt, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(attempt, *args, **kwargs)
        except Exception:  # noqa: BLE001 - counted and logged
            attempt.faults.add(method.__name__)

    return guarded


class Attempt:
    """Becomes one event, whichever way it ends first; none of its methods raises.

    ``count``: attempts that the client says came before. ``who``: the attribution of the call.
    """

    def __init__(
        self,
        call: Call,
        count: int,
        who: Mapping[str, Any],
        emit: Callable[..., object],
        faults: Faults,
    ) -> None:
        before = _last.get() if count else None
        self.faults = faults
        self._event_id = new_event_id()
        self._number = before.number + 1 if before else count + 1
        self._retry_of = before.event_id if before else None
        self._call = call
        self._who = who
        self._emit = emit
        self._answer: Answer | None = None
        self._over = False
        self._began = time.perf_counter()

    @_harmless
    def answered(self, response: Any) -> None:
        """The status and the headers are there."""
        if 300 <= response.status_code < 400:
            self._over = True  # The client follows, and that is an attempt again.
            return
        self._answer = Answer(self._call, response)
        if response.is_closed:
            self._answer.decoded(response.content)
            self._end(True)

    @_harmless
    def feed(self, data: bytes) -> None:
        """Some of the body is there."""
        if self._answer is not None and not self._over:
            self._answer.feed(data)

    @_harmless
    def exhausted(self) -> None:
        """The body was read to its end."""
        self._end(True)

    @_harmless
    def closed(self) -> None:
        """The caller closed the response: before its end, unless that was seen already."""
        self._end(False, "cancelled")

    @_harmless
    def failed(self, error: BaseException) -> None:
        """The attempt ended in an exception. One that is no `Exception` is a cancellation."""
        name = type(error).__name__
        if not isinstance(error, Exception):
            self._end(False, "cancelled")
        elif is_timeout(error):
            self._end(False, "timeout", name)
        else:
            self._end(False, "error", name)

    def _end(self, complete: bool, status: Status = "ok", code: str | None = None) -> None:
        if self._over:
            return
        self._over = True
        said = self._said(complete)
        status, code = self._outcome(said, complete, status, code)
        if self._call.media and status == "ok" and said.get("usage_source") == "missing":
            return
        _last.set(Ended(self._event_id, self._number))
        headers = self._answer.headers if self._answer else {}
        prefix = self._call.prefix
        request_id = said.get("request_id") or _first(headers, _REQUEST_IDS)
        fields = {
            **self._who,
            **said,
            "event_id": self._event_id,
            "model": said.get("model") or UNKNOWN_MODEL,
            "request_id": request_id,
            "attempt": self._number,
            "retry_of": self._retry_of,
            "status": status,
            "error_code": code,
            "prompt_hash": self._call.prompt_hash,
            "prefix_hash": prefix.hash if prefix else None,
            "prefix_tokens": prefix.tokens(said) if prefix else None,
            "latency_ms": round((time.perf_counter() - self._began) * 1000),
        }
        tags = {**self._who.get("tags", {}), **(said.get("tags") or {})}
        if tags:
            fields["tags"] = tags
        self._emit(**{name: value for name, value in fields.items() if value is not None})

    def _said(self, complete: bool) -> UsageFields:
        if self._answer is not None:
            try:
                return self._answer.usage(complete)
            except Exception:  # noqa: BLE001 - counted and logged; the attempt is an event anyway
                self.faults.add("usage")
        return read_usage(self._call.provider, None, self._call.request)

    def _outcome(
        self, said: UsageFields, complete: bool, status: Status, code: str | None
    ) -> tuple[Status, str | None]:
        """How the attempt ended; ``status`` and ``code`` say it as the caller saw it."""
        answer, told = self._answer, said.get("status")
        if answer is not None and answer.status >= 400:
            limited = answer.status == 429 or told == "rate_limited"
            return "rate_limited" if limited else "error", _code(said) or str(answer.status)
        if told is not None and told != "ok":
            return told, _code(said)
        if complete or (answer is not None and answer.ended):
            whole = told == "ok" or answer is None or not answer.cut_off
            return ("ok", None) if whole else ("error", "incomplete_stream")
        if status == "cancelled" and told == "ok":
            return "ok", None  # All of the answer was there; only the stream's end was not read.
        return status, code


def is_timeout(error: BaseException) -> bool:
    """Whether an exception of httpx or its successors, or of Python, says that time ran out."""
    names = {base.__name__ for base in type(error).__mro__}
    return "TimeoutException" in names or isinstance(error, TimeoutError)


def _code(said: UsageFields) -> str | None:
    """The provider's code; where it gives a sentence instead, none."""
    code = said.get("error_code")
    return code if code and not any(letter.isspace() for letter in code) else None


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((headers[name] for name in names if headers.get(name)), None)
