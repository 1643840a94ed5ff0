"""The linear model: multinomial logistic regression over the features, read from plain JSON.

    z_i = (x_i − mean_i) / scale_i
    score(tier) = bias(tier) + Σ_i weight(tier, i) · z_i
    probability(tier) = exp(score(tier)) / Σ exp(score)            (softmax)

What a feature contributes is weight · z: what it moves the score by, against an average request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import exp, isfinite
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from spendstream.routing._document import RoutingFileError, known_or_nearest
from spendstream.routing._features import FEATURES
from spendstream.routing._tiers import TIERS, in_order

VERSION = 1
"""Of the model file. Another meaning of a feature, or another formula, makes it a new one."""
_TOLD = 3
"""Contributions that a reason names."""


class Guess(NamedTuple):
    """The most probable tier."""

    tier: str
    probability: float
    contributions: tuple[tuple[str, float], ...]
    """Features that spoke for the tier (above 0) or against it, the strongest first."""


class LinearModel:
    """A model by feature (name, mean, scale) and by tier (bias, weights in their order)."""

    def __init__(
        self,
        features: tuple[tuple[str, float, float], ...],
        tiers: Mapping[str, tuple[float, tuple[float, ...]]],
    ) -> None:
        self._features = features
        self._weights = {tier: tiers[tier] for tier in in_order(tiers)}

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers that it tells apart, from the cheapest on."""
        return tuple(self._weights)

    def probabilities(self, values: Mapping[str, float]) -> dict[str, float]:
        """Tier → probability, for the features of a request."""
        return self._softmax(self._standardised(values))

    def guess(self, values: Mapping[str, float]) -> Guess:
        """The most probable tier (of equal ones the cheapest), and why."""
        standardised = self._standardised(values)
        probabilities = self._softmax(standardised)
        tier = max(probabilities, key=probabilities.__getitem__)
        weights = self._weights[tier][1]
        pairs = zip(self._features, weights, standardised, strict=True)
        moved = [(name, weight * z) for (name, _, _), weight, z in pairs]
        moved.sort(key=lambda pair: -abs(pair[1]))
        return Guess(tier, probabilities[tier], tuple(moved[:_TOLD]))

    def _standardised(self, values: Mapping[str, float]) -> list[float]:
        return [(values[name] - mean) / scale for name, mean, scale in self._features]

    def _softmax(self, standardised: list[float]) -> dict[str, float]:
        scores = {
            tier: bias + sum(map(float.__mul__, weights, standardised))
            for tier, (bias, weights) in self._weights.items()
        }
        most = max(scores.values())
        parts = {tier: exp(score - most) for tier, score in scores.items()}
        whole = sum(parts.values())
        return {tier: part / whole for tier, part in parts.items()}


def read_model(path: Path) -> LinearModel:
    """The model of a file. Raises RoutingFileError."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise RoutingFileError(
            f"{path}: {error.strerror}; make it with spendstream routing train"
        ) from None
    except (ValueError, RecursionError):
        raise RoutingFileError(
            f"{path}: is no JSON; make it with spendstream routing train"
        ) from None
    return model_of(document, str(path))


def model_of(document: Any, name: str) -> LinearModel:
    """The model that a document of a model file describes. Raises RoutingFileError."""

    def fail(what: str) -> NoReturn:
        raise RoutingFileError(f"{name}: {what}; make it with spendstream routing train")

    def number(value: object, of: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            fail(f"{of} is no number")
        return float(value)

    if not isinstance(document, dict) or "version" not in document:
        fail("is no model of routing")
    if document["version"] != VERSION:
        fail(f"has version {document['version']!r:.20}, version {VERSION} is understood")
    try:
        features = []
        for feature in document["features"]:
            which = feature["name"]
            if which not in FEATURES:
                fail(f"feature {which!r:.40} is none; {known_or_nearest(str(which), FEATURES)}")
            mean, scale = (number(feature[k], f"{k} of {which}") for k in ("mean", "scale"))
            if scale <= 0:
                fail(f"scale of {which} is not above 0")
            features.append((which, mean, scale))
        tiers = {}
        for tier, entry in document["tiers"].items():
            if tier not in TIERS:
                fail(f"tier {tier!r:.40} is none; {known_or_nearest(tier, TIERS)}")
            weights = tuple(number(weight, f"a weight of {tier}") for weight in entry["weights"])
            if len(weights) != len(features):
                fail(f"{tier} has {len(weights)} weights for {len(features)} features")
            tiers[tier] = number(entry["bias"], f"bias of {tier}"), weights
    except (KeyError, TypeError, AttributeError) as error:
        fail(f"lacks a part or has one of a wrong kind ({error!r:.60})")
    if len(tiers) < 2:
        fail("tells fewer than two tiers apart")
    return LinearModel(tuple(features), tiers)
