"""Before a call: what its budgets say, and what becomes of the call."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spendstream.litellm._tiers import TierChoice
from spendstream.quota import Decision
from spendstream.routing import Choice

_log = logging.getLogger("spendstream")

CHATS = frozenset(
    {
        *("completion", "acompletion", "text_completion", "atext_completion"),
        *("responses", "aresponses", "anthropic_messages"),
    }
)
"""Calls for which another model can answer: vectors, pictures and sound of another model differ."""
ASKED = frozenset(
    {
        *("department", "team", "project", "use_case", "application", "environment"),
        *("user", "customer"),
    }
)
"""What quotas are asked by."""
CATALOGUE_SECONDS = 10.0
"""For how long the deployments of a model group are remembered: the proxy's config can change."""


class Refused(Exception):
    """A budget says no. ``retry_after``: seconds until it may say yes, where that is known."""

    def __init__(self, why: str, retry_after: int | None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a model group of the proxy stands for: of several deployments the first."""

    provider: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a call that may be made. ``group``: ask this model group instead.

    ``reason``: why it is degraded, or that nobody knows what is left of its budgets. ``choice``:
    the router's, where it is what becomes of the call.
    """

    group: str | None = None
    tier: str | None = None
    reason: str | None = None
    choice: Choice | None = None


_AS_ASKED = Verdict()


class Gate:
    """Judges calls by what ``decide`` says of them: that of `spendstream.Quotas`, from memory.

    ``look_up``: what a model group stands for; None: there is none of the name.
    """

    def __init__(
        self,
        decide: Callable[..., Decision],
        tiers: TierChoice | None,
        look_up: Callable[[str], Deployed | None],
    ) -> None:
        self._decide = decide
        self._tiers = tiers
        self._look_up = look_up
        self._catalogue: dict[str, tuple[float, Deployed | None]] = {}
        self._known: bool | None = None
        self._warned: set[str] = set()

    def judge(self, who: Mapping[str, Any], request: Mapping[str, Any], call_type: str) -> Verdict:
        """What becomes of a request. Raises Refused.

        ``who``: its attribution, as on its usage event. The budgets decide first; a router, where
        the tiers file has one, chooses within what they allow.
        """
        group = request.get("model")
        group = group if isinstance(group, str) else None
        deployed = self._deployed(group)
        decision = self._decide(
            **{name: value for name, value in who.items() if name in ASKED},
            provider=deployed.provider if deployed else None,
            model=deployed.model if deployed else group,
        )
        self._tell(decision)
        if not decision.allowed:
            raise Refused(decision.why, _seconds_until(decision.resets_at))
        verdict = _AS_ASKED if decision.known else Verdict(reason=decision.why)
        if group is None or call_type not in CHATS:
            return verdict
        if self._tiers is None:
            if decision.degrade_to is not None:
                self._warn(
                    f"a budget asks for {decision.degrade_to} models; name them in a file, and it "
                    "in SPENDSTREAM_TIERS"
                )
                verdict = Verdict(reason=f"{decision.why} No tiers file: the call is left as it is")
            return verdict
        tier, chosen, reason, choice = self._tiers.choose(
            request, who, group, decision.degrade_to, deployed.provider if deployed else None
        )
        if decision.degrade_to is not None or not decision.known:
            reason = f"{decision.why} {reason}".rstrip()
        if chosen != group and self._deployed(chosen) is None:
            self._warn(f"the tiers file names {chosen!r}, which is no model group of the proxy")
            return Verdict(None, None, f"{reason} No such model group: the call is left as it is")
        return Verdict(chosen if chosen != group else None, tier, reason or None, choice)

    def _deployed(self, group: str | None) -> Deployed | None:
        if group is None:
            return None
        now = time.monotonic()
        until, found = self._catalogue.get(group, (0.0, None))
        if until <= now:
            if len(self._catalogue) > 1000:  # names that clients made up
                self._catalogue.clear()
            found = self._look_up(group)
            self._catalogue[group] = (now + CATALOGUE_SECONDS, found)
        return found

    def _tell(self, decision: Decision) -> None:
        """Say once in the log that nobody knows what is left, and that it is known again."""
        if decision.known != self._known:
            if not decision.known:
                _log.warning("%s", decision.why)
            elif self._known is not None:
                _log.warning("quotas are known again")
            self._known = decision.known

    def _warn(self, message: str) -> None:
        if message not in self._warned and len(self._warned) < 100:
            self._warned.add(message)
            _log.warning("%s", message)


def unlimited(**_: object) -> Decision:
    """The answer where no quotas are asked."""
    return Decision(True, None, "", None, None, known=True)


def _seconds_until(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return max(1, math.ceil((moment - datetime.now(UTC)).total_seconds()))
