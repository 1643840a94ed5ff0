"""Which tier of models a call goes to, and why. Pure: the same call has the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

from spendstream.routing._conditions import Call
from spendstream.routing._document import from_values, read_document
from spendstream.routing._features import Counts
from spendstream.routing._policy import Policy, policy

_MOST_TEXT = 1_024
"""Characters that a text of an event may have."""
SHADOW_PREFIX = "shadow:"
_ONLY_STREAMED = ("stream", "stream_options")


class Choice(NamedTuple):
    """Where a call goes."""

    tier: str | None
    """None where the call is left as it is."""
    provider: str | None
    """None where it is not known, or the file names the model for any provider (`*`)."""
    model: str | None
    """The model to call. None where the request names none and the call is left as it is."""
    reason: str
    """One line for a person: the rule, or the classifier's probability and what moved it."""
    score: float | None
    """The classifier's probability of the tier that it found; None where it was not asked."""
    requested_model: str | None
    """What the request asked for: a model, a tier or `auto`."""

    def event_fields(self) -> dict[str, str]:
        """The fields of the call's usage event that say how it was routed."""
        fields = {
            "routing_tier": self.tier,
            "routing_reason": self.reason,
            "requested_model": self.requested_model,
        }
        return {name: value[:_MOST_TEXT] for name, value in fields.items() if value is not None}


class ShadowCall(NamedTuple):
    """A copy of a call for a cheaper tier. Nobody gets its answer but who compares."""

    request: dict[str, Any]
    provider: str | None
    fields: dict[str, str]
    """For its usage event, with an event_id of its own."""


class Router:
    """Chooses by a file of tiers and rules, read once.

    ```python
    router = Router("tiers.yaml")
    choice = router.choose(request, {"team": "search", "use_case": "classification"})
    ```

    Raises RoutingFileError where the file has a mistake. May be used from any thread.
    """

    def __init__(self, file: str | Path) -> None:
        path = Path(file)
        self._policy = policy(read_document(path), path.parent)

    @classmethod
    def of(cls, document: Mapping[str, Any], folder: str | Path = ".") -> Self:
        """A router by the content of a file, without PyYAML. ``folder`` is where its model is."""
        router = cls.__new__(cls)
        router._policy = policy(from_values(document, "routing"), Path(folder))
        return router

    @property
    def policy(self) -> Policy:
        """What the file says."""
        return self._policy

    def choose(
        self,
        request: Mapping[str, Any],
        attribution: Mapping[str, Any],
        *,
        provider: str | None = None,
        at_most: str | None = None,
    ) -> Choice:
        """The tier and model of a call; microseconds.

        ``request``: the body of the call; its `model` is a model, a tier or `auto`. A model that is
        in no tier of the file is left as it is. ``attribution``: the fields of the usage event that
        say whose call it is. ``provider``: whose models can be used; without it, those of the
        provider of the model that is asked for. ``at_most``: a tier that the call must not be
        dearer than, as the quotas' `degrade_to` says. Never raises for what a request holds.
        """
        named = request.get("model")
        named = named if isinstance(named, str) and named else None
        asked = self._policy.tiers.asked(named, provider)
        if asked is None:
            reason = f"{named} is in no tier: left as it is"
            return Choice(None, provider, named, reason, None, named)
        tier, reason, score = self._tier(Call(attribution, Counts(request), asked))
        # Who named a model bounded what the call may cost; who named a tier left the rest to us.
        own = None if self._policy.upgrade or asked.model is None else asked.tier
        for bound, why in ((own, "as dear as what was asked for"), (at_most, "as allowed")):
            if bound is not None and tier not in (held := self._policy.tiers.up_to(bound)):
                tier, reason = held[-1], f"{reason}; held to {held[-1]}, {why}"
        if tier == asked.tier and asked.model is not None:
            # Already there: it may be the tier's second model, or that of another provider.
            return Choice(tier, asked.provider, asked.model, reason, score, named)
        found = self._policy.tiers.served(tier, asked.provider)
        if found is None or found.tier != tier:
            reason = f"{reason}; {tier} has no model of {asked.provider}"
        if found is None:
            reason = f"{reason}: left as it is"
            return Choice(asked.tier, asked.provider, asked.model, reason, score, named)
        return Choice(*found, reason, score, named)

    def shadow(self, event_id: str) -> bool:
        """True for the share of calls that the file wants compared; by a hash, so always alike."""
        wanted = self._policy.shadow
        if wanted is None:
            return False
        digest = blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest) < wanted.below

    def shadow_call(
        self,
        event_id: str,
        request: Mapping[str, Any],
        attribution: Mapping[str, Any],
        choice: Choice,
    ) -> ShadowCall | None:
        """The copy to call for comparison; None where this call is not to be compared.

        ``event_id`` is the call's own, ``choice`` where it went: only a call that went to a dearer
        tier than the file's shadow tier has one. The copy is not streamed.
        """
        wanted, tiers = self._policy.shadow, self._policy.tiers
        if wanted is None or not self.shadow(event_id) or choice.tier is None:
            return None
        if choice.tier in tiers.up_to(wanted.tier):
            return None
        asked = tiers.asked(choice.requested_model, choice.provider)
        found = tiers.served(wanted.tier, choice.provider)
        if asked is None or found is None:
            return None
        if wanted.only:
            call = Call(attribution, Counts(request), asked)
            if not all(condition.holds(call) for condition in wanted.only):
                return None
        tier, provider, model = found
        copied = {key: value for key, value in request.items() if key not in _ONLY_STREAMED}
        fields = {
            "event_id": f"{SHADOW_PREFIX}{event_id}",
            "shadow_of": event_id,
            "routing_tier": tier,
            "routing_reason": f"shadow of a call to {choice.tier}: share {wanted.percent}",
            "requested_model": model,
        }
        return ShadowCall({**copied, "model": model}, provider, fields)

    def _tier(self, call: Call) -> tuple[str, str, float | None]:
        """Tier, reason, and the classifier's probability where it was asked."""
        for rule in self._policy.rules:
            if all(condition.holds(call) for condition in rule.when):
                return rule.tier, rule.said, None
        if call.asked.tier is not None and call.asked.model is None:
            return call.asked.tier, "the tier that was asked for", None
        if self._policy.classifier is None:
            return self._policy.default, "default: no rule matches", None
        guess = self._policy.classifier.guess(call.counts.features)
        moved = ", ".join(f"{name} {change:+.2f}" for name, change in guess.contributions)
        reason = f"classifier: {guess.tier} with probability {guess.probability:.2f} ({moved})"
        return guess.tier, reason, guess.probability
