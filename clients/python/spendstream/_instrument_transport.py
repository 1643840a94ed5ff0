"""Transports of httpx, and of its successor httpx2, that meter what passes through them.

Neither library is imported: the classes that they insist on are found on what they hand us.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any

from spendstream._instrument_attempt import Attempt

Begin = Callable[[Any], tuple[Any, Attempt | None]]
"""From a request to the request that is sent, and the attempt; None where it is no call."""


class Layer:
    """A transport around another one, which does everything that the layer does not do itself."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # Not there yet, as while an instance is copied.
            raise AttributeError(name)
        return getattr(self.inner, name)


class Metered(Layer):
    """Meters each request that is sent, and its answer while the caller reads it."""

    def __init__(self, inner: Any, begin: Begin) -> None:
        super().__init__(inner)
        self.begin = begin

    def handle_request(self, request: Any) -> Any:
        """Send a request (httpx's interface)."""
        request, attempt = self.begin(request)
        if attempt is None:
            return self.inner.handle_request(request)
        try:
            response = self.inner.handle_request(request)
        except BaseException as error:
            attempt.failed(error)
            raise
        return _teed(response, attempt, _Tee, "SyncByteStream")

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request (httpx's interface)."""
        request, attempt = self.begin(request)
        if attempt is None:
            return await self.inner.handle_async_request(request)
        try:
            response = await self.inner.handle_async_request(request)
        except BaseException as error:
            attempt.failed(error)
            raise
        return _teed(response, attempt, _AsyncTee, "AsyncByteStream")


class _Tee:
    """A body that its attempt sees too, byte by byte as the caller takes it."""

    def __init__(self, inner: Any, attempt: Attempt) -> None:
        self._inner = inner
        self._attempt = attempt

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self._inner:
                self._attempt.feed(data)
                yield data
        except BaseException as error:
            self._attempt.failed(error)
            raise
        self._attempt.exhausted()

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._attempt.closed()


class _AsyncTee:
    """The same for asynchronous clients."""

    def __init__(self, inner: Any, attempt: Attempt) -> None:
        self._inner = inner
        self._attempt = attempt

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._inner:
                self._attempt.feed(data)
                yield data
        except BaseException as error:
            self._attempt.failed(error)
            raise
        self._attempt.exhausted()

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._attempt.closed()


def _teed(response: Any, attempt: Attempt, tee: type, base: str) -> Any:
    """The response, whose body the attempt sees too."""
    attempt.answered(response)
    bases: tuple[type, ...] = type(response.stream).__mro__
    found = next((known for known in bases if known.__name__ == base), None)
    if found is not None and not response.is_closed:
        response.stream = _tee_class(tee, found)(response.stream, attempt)
    return response


@cache
def _tee_class(tee: type, base: type) -> type:
    """The tee as a subclass of httpx's own stream, which its clients insist on."""
    return type(tee.__name__, (tee, base), {})
