"""Repeated prompts: who sends a prompt again and again, without saying that it is an attempt.

The journal does not know prompts; the archive does, by their hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sinks.clickhouse import ClickHouse
from streams.detectors.attempts import Scope, Tally
from streams.detectors.storm_rule import StormRule


@dataclass(frozen=True, slots=True)
class Repeats:
    """Calls of a team and application, in a window, that repeat a prompt of theirs.

    ``minutes`` has the repeats, by Unix minute: calls beyond the first of their prompt, their cost,
    and their prompt tokens. The prompt that was sent most often is ``prompt``, a hash, in
    ``prompt_calls`` of all ``calls`` whose prompt is known.
    """

    scope: Scope
    calls: int
    minutes: Mapping[int, Tally]
    prompt: str
    prompt_calls: int
    provider: str
    model: str

    @property
    def repeated(self) -> int:
        """Calls beyond the first of their prompt."""
        return sum(tally.calls for tally in self.minutes.values())


_WINDOW = "minute BETWEEN toDateTime({since:UInt32}, 'UTC') AND toDateTime({until:UInt32}, 'UTC')"
_SCOPE = "(team, ifNull(application, ''))"
# Nearly always nobody repeats enough, and only the innermost query does any work: it counts hashes
# of hashes, as numbers are counted several times faster than texts. What an archive has written
# twice is told apart only for those who are left.
_SQL = f"""
SELECT team, application, intDiv(toUnixTimestamp(minute), 60) AS unix_minute, count(),
       countIf(nth > 1), sumIf(cost_pico, nth > 1), sumIf(input_tokens, nth > 1),
       max(nth), argMax(prompt_hash, nth), argMax(provider, nth), argMax(model, nth)
FROM
(
    SELECT *, row_number() OVER (PARTITION BY team, application, prompt_hash
                                 ORDER BY minute, event_id) AS nth
    FROM
    (
        SELECT team, application, minute, prompt_hash, event_id, provider, model, cost_pico,
               input_tokens
        FROM prompts
        WHERE {_WINDOW} AND {_SCOPE} IN
        (
            SELECT {_SCOPE}
            FROM
            (
                SELECT team, application, count() AS sent
                FROM prompts
                WHERE {_WINDOW} AND {_SCOPE} IN
                (
                    SELECT {_SCOPE}
                    FROM prompts
                    WHERE {_WINDOW}
                    GROUP BY team, application
                    HAVING count() - uniqExact(cityHash64(prompt_hash)) >= {{least:UInt64}}
                )
                GROUP BY team, application, prompt_hash
            )
            GROUP BY team, application
            HAVING max(sent) * 100 >= sum(sent) * {{share:UInt64}}
        )
        LIMIT 1 BY team, application, prompt_hash, event_id
    )
)
GROUP BY team, application, minute
ORDER BY team, application, minute
"""


def repeats(
    clickhouse: ClickHouse, since: datetime, until: datetime, rule: StormRule
) -> list[Repeats]:
    """Who repeats prompts enough to be looked at by the rule, in the minutes from ``since``
    through ``until`` (UTC). Blocking; raises ClickHouseError."""
    rows = clickhouse.query(
        _SQL,
        {
            "since": int(since.timestamp()) // 60 * 60,
            "until": int(until.timestamp()),
            "least": rule.min_calls,
            "share": rule.share_percent,
        },
    )
    of_scope: dict[Scope, list[tuple[int, ...]]] = {}
    for team, application, *row in rows:
        of_scope.setdefault(Scope(team, application), []).append(tuple(row))
    return [_repeats(scope, minutes) for scope, minutes in of_scope.items()]


def _repeats(scope: Scope, rows: list[tuple[int, ...]]) -> Repeats:
    *_, most, prompt, provider, model = max(rows, key=lambda row: row[5])
    return Repeats(
        scope=scope,
        calls=sum(row[1] for row in rows),
        minutes={
            int(minute): Tally(int(repeated), _known(cost), _known(tokens))
            for minute, _, repeated, cost, tokens, *_ in rows
            if repeated
        },
        prompt=str(prompt),
        prompt_calls=int(most),
        provider=str(provider),
        model=str(model),
    )


def _known(value: int | None) -> int | None:
    return None if value is None else int(value)
