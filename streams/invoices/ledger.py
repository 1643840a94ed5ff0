"""What an import asks the ledger: which providers and models it has, under which names."""

from __future__ import annotations

import difflib

from schemas.errors import UserError
from sinks.clickhouse import ClickHouse

_PROVIDERS = "SELECT provider, sum(calls) FROM spend_daily GROUP BY provider ORDER BY 2 DESC"
_MODELS = "SELECT DISTINCT model FROM spend_daily WHERE provider = {provider:String} ORDER BY model"


def check_provider(clickhouse: ClickHouse, provider: str) -> None:
    """Raise UserError for a provider that the ledger has only under a similar name.

    One that it does not have at all may be billed all the same. Raises ClickHouseError.
    """
    known = [str(name) for name, _ in clickhouse.query(_PROVIDERS)]
    if provider in known:
        return
    by_case = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(provider.casefold(), by_case, n=3, cutoff=0.7)
    if close:
        names = " or ".join(by_case[name] for name in close)
        raise UserError(f"--provider: no call has the provider {provider!r}; did you mean {names}?")


def models_of(clickhouse: ClickHouse, provider: str) -> list[str]:
    """Every model of the provider in the ledger. Raises ClickHouseError."""
    return [str(name) for (name,) in clickhouse.query(_MODELS, {"provider": provider})]
