"""Access: calls of models that the rules do not allow, by rule, team, user, tier and day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from streams.detectors.access_rules import AccessPolicy
from streams.detectors.daily import DAYS, Daily, Finding
from streams.detectors.report import Report, contributor, counted, largest, money, short
from streams.detectors.series import DAY, Key, Series
from streams.detectors.settings_file import Detectors

REMEMBERED = 65_536
"""Decisions that are kept at hand."""


class Access(Daily):
    """Counts forbidden calls only. Shadow calls are the gateway's, not the user's: they do not
    count, nor does their cost."""

    name = "access"
    rule = "access"

    def __init__(self, detectors: Detectors) -> None:
        self._detectors = detectors
        self._policy = AccessPolicy(detectors.access, detectors.tiers)
        asked = (*self._policy.dimensions, "team", "user", "provider", "model")
        self._dimensions = tuple(dict.fromkeys(asked))
        self._models: set[str] = set()
        """Every model that was forbidden to somebody."""
        decide = lru_cache(REMEMBERED)(self._forbidden)
        super().__init__(
            Series(self._dimensions, ("calls", "cost"), DAY, DAYS, under=decide, shadows="none")
        )

    def new(self) -> Access:
        """The same rules without data."""
        return Access(self._detectors)

    def findings(self, day: int, changed: Iterable[Key]) -> Iterator[Finding]:
        """One for each rule, team, user and tier; it holds while a forbidden call is left."""
        counted = self._series.at(day)
        for who in dict.fromkeys(key[:4] for key in changed):
            keys = ((model, (*who, model)) for model in self._models)
            parts = [(model, *counted[key]) for model, key in keys if key in counted]
            rule, team, user, tier = who
            if parts:
                yield self._finding(str(rule), str(team), user, str(tier), parts)

    def _finding(
        self,
        rule: str,
        team: str,
        user: str | bool | None,
        tier: str,
        parts: Sequence[tuple[Any, ...]],
    ) -> Finding:
        calls = sum(count for _, count, _ in parts)
        cost = sum(amount for _, _, amount in parts)
        who = f"team {short(team)}" if user is None else f"{short(user)} of team {short(team)}"
        spent = f", {money(cost)}" if cost else ""
        holds = calls > 0
        report = Report(
            title=(
                f"{counted(calls)} of {short(tier)} models by {who}{spent}: not allowed"
                if holds
                else f"No call of {short(tier)} models by {who} is left that was not allowed"
            ),
            detail=f"The access rule that applies is `{rule}`. It does not allow the tier {tier}.",
            action=(
                "Have the calls moved to a tier that is allowed, or the rule changed. Block the "
                "models at the gateway where this must not happen."
            ),
            value=Decimal(calls),
            limit=Decimal(0),
            unit="calls",
            contributors=largest(contributor(*part) for part in parts),
        )
        scope = {"team": team} | ({} if user is None else {"user": str(user)})
        return Finding(scope, f"{rule}: {tier}", int(holds), False, report)

    def _forbidden(self, key: Key) -> Key | None:
        call = {
            name: None if part is None else str(part)
            for name, part in zip(self._dimensions, key, strict=True)
        }
        violation = self._policy.violation(call)
        if violation is None:
            return None
        model = f"{call['provider']}/{call['model']}"
        self._models.add(model)
        return violation.rule, call["team"], call["user"], violation.tier, model
