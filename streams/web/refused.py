"""A request that is not done: one line for the caller, and a code that stays."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.errors import SpendstreamError

RETRY_SECONDS = 1
"""For `Retry-After`: what holds requests up is over in about a linger of Kafka, or lasts long."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


class RequestRefused(SpendstreamError):
    """Answered with this HTTP status, these headers, and `{"error": …, "code": …}`."""

    def __init__(
        self, status: int, code: str, error: str, headers: Mapping[str, str] = _NOTHING
    ) -> None:
        super().__init__(error)
        self.status = status
        self.code = code
        self.headers = headers

    def as_json(self) -> dict[str, str]:
        """The body."""
        return {"error": " ".join(str(self).split()), "code": self.code}


def busy(why: str) -> RequestRefused:
    """429: nothing was done; the same may be asked again."""
    return RequestRefused(429, "busy", f"{why}; try again", {"Retry-After": str(RETRY_SECONDS)})
