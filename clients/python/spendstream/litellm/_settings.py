"""What the environment says about metering and quotas in LiteLLM, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from spendstream._event import resolved_defaults
from spendstream.litellm._attribution import Attribution
from spendstream.litellm._tiers import TierChoice

UNATTRIBUTED = "unattributed"
"""Team of a call whose key has none: an event without one would be refused, and its cost lost."""


class Misconfigured(ValueError):
    """A setting that is wrong. The message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where events go and what a call is asked for.

    ``quotas``: URL that quotas are read from; None: calls are not judged. ``coalesce``: hold
    identical requests back while the first is in flight.
    """

    url: str
    quotas: str | None
    fail: Literal["open", "closed"]
    tiers: TierChoice | None
    attribution: Attribution
    coalesce: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read ``SPENDSTREAM_*``. Raises Misconfigured."""

        def said(name: str) -> str:
            return environment.get(name, "").strip()

        url = said("SPENDSTREAM_URL")
        if not url:
            raise Misconfigured(
                "SPENDSTREAM_URL is not set: where usage events go, "
                "such as http://127.0.0.1:6067 or kafka://127.0.0.1:9092"
            )
        fail = said("SPENDSTREAM_QUOTA_FAIL") or "open"
        if fail not in ("open", "closed"):
            raise Misconfigured(f"SPENDSTREAM_QUOTA_FAIL is {fail!r}; open or closed is understood")
        coalesce = said("SPENDSTREAM_COALESCE") or "off"
        if coalesce not in ("on", "off"):
            raise Misconfigured(f"SPENDSTREAM_COALESCE is {coalesce!r}; on or off is understood")
        file = said("SPENDSTREAM_TIERS")
        quotas = said("SPENDSTREAM_QUOTAS") or url
        try:
            tiers = TierChoice.from_file(Path(file)) if file else None
        except ValueError as error:
            raise Misconfigured(f"SPENDSTREAM_TIERS: {error}") from None
        try:
            attribution = Attribution.parse(
                said("SPENDSTREAM_LITELLM_FIELDS"),
                {"team": UNATTRIBUTED} | resolved_defaults(None, environment),
            )
        except ValueError as error:
            raise Misconfigured(f"SPENDSTREAM_LITELLM_FIELDS: {error}") from None
        return cls(
            url=url,
            quotas=None if quotas == "off" else quotas,
            fail="open" if fail == "open" else "closed",
            tiers=tiers,
            attribution=attribution,
            coalesce=coalesce == "on",
        )
