"""Archive and ledger as rows of one shape, signed so that their sum is archive minus ledger.

Reconciliation groups them by journal range, repricing by source partition; what they are made of is
said here once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.journal import DIMENSIONS
from schemas.tokens import BUCKET_NAMES

SUMS = ("calls", *BUCKET_NAMES)
RATED = ("rating", "price_ref")
"""The dimensions that repricing changes."""
UNRATED = tuple(name for name in DIMENSIONS if name not in RATED)
REPRICING = "repricing"
"""The reason of its adjustments. They move calls from one price to another, over many ranges."""
EVENTS = "(SELECT *, if(kind = 'void', -1, 1) AS sign FROM usage_events FINAL)"
"""What `archived_columns` are taken from."""
DERIVED = {
    "is_retry": "toBool(ifNull(attempt > 1, false) OR isNotNull(retry_of))",
    "is_shadow": "toBool(isNotNull(shadow_of))",
}
"""As `streams.metering.rollup` derives them."""


def archived_columns(place: str, key: Sequence[str]) -> str:
    """Columns of archived events; ``key`` are those of the relation ``place``."""
    return _columns(
        place,
        key,
        "toStartOfMinute(occurred_at)",
        DERIVED,
        "sign",
        "sign",
        "toDecimal128(ifNull(cost_pico, 0), 12) / toDecimal128(1000000000000, 0) AS amount, "
        "isNotNull(provider_cost) AS is_charged, "
        "sign * toDecimal128(ifNull(provider_cost, '0'), 12) AS charged",
    )


def counted_columns(place: str, key: Sequence[str]) -> str:
    """Columns of rows of `spend`, taken off."""
    return _columns(
        place,
        key,
        "minute",
        {},
        "-calls",
        "-1",
        "-ifNull(cost, toDecimal128(0, 12)) AS amount, isNotNull(provider_cost) AS is_charged, "
        "-ifNull(provider_cost, toDecimal128(0, 12)) AS charged",
    )


def _columns(
    place: str,
    key: Sequence[str],
    minute: str,
    dimensions: Mapping[str, str],
    calls: str,
    sign: str,
    money: str,
) -> str:
    """One side of the union: where it belongs, its attribution, and signed sums."""
    return ", ".join(
        [
            *(f"{place}.{name} AS {name}" for name in key),
            f"{minute} AS minute",
            *(f"{dimensions.get(name, name)} AS {name}" for name in DIMENSIONS),
            f"{calls} AS calls",
            *(f"{sign} * ifNull({name}, 0) AS {name}" for name in BUCKET_NAMES),
            money,
        ]
    )
