"""The fit: multinomial logistic regression by scikit-learn, and how good it is on unseen examples.

The features are the client's own (`spendstream.routing.features`), so that what is learned is what
is asked. Deterministic: the same examples give the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from spendstream.routing import FEATURES, VERSION, features

from streams.budgets.fields import TIERS
from streams.routing.examples import Examples

FOLDS = 5
REGULARISATION = 1.0
"""Inverse strength of the L2 penalty (scikit-learn's C), its default."""
CONFIDENCE = 0.95


class Score(NamedTuple):
    """How often the tier of an example is found by a model that has not seen it."""

    examples: int
    right: int
    interval: tuple[float, float]
    """Of the accuracy: Wilson's score interval, at `CONFIDENCE`."""
    baseline: float
    """Accuracy of always saying ``most_frequent``."""
    most_frequent: str
    found: Mapping[str, Mapping[str, int]]
    """Labelled tier → found tier → examples."""

    @property
    def accuracy(self) -> float:
        """Part of the examples, 0 to 1."""
        return self.right / self.examples

    @property
    def is_better(self) -> bool:
        """Whether the whole interval is above the baseline."""
        return self.interval[0] > self.baseline


def evaluate(examples: Examples) -> Score:
    """Cross-validation: each fifth is judged by a model that was trained on the other four."""
    values, labels = _matrix(examples)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    guesses = cross_val_predict(_pipeline(), values, labels, cv=folds)
    counts = examples.per_tier()
    pairs = list(zip(labels.tolist(), guesses.tolist(), strict=True))
    right = sum(label == guess for label, guess in pairs)
    bounds = binomtest(right, len(pairs)).proportion_ci(CONFIDENCE, method="wilson")
    most_frequent = max(counts, key=counts.__getitem__)
    return Score(
        examples=len(pairs),
        right=right,
        interval=(float(bounds.low), float(bounds.high)),
        baseline=counts[most_frequent] / len(pairs),
        most_frequent=most_frequent,
        found={
            label: {
                guess: pairs.count((TIERS.index(label), TIERS.index(guess))) for guess in counts
            }
            for label in counts
        },
    )


def fitted(examples: Examples, score: Score) -> dict[str, Any]:
    """The document of the model file, trained on all examples; docs/routing.md explains it."""
    pipeline = _pipeline().fit(*_matrix(examples))
    scaler, regression = pipeline[0], pipeline[-1]
    weights, biases = regression.coef_, regression.intercept_
    if len(weights) == 1:
        # Of two tiers scikit-learn keeps the difference; half of it each gives the same softmax.
        weights, biases = np.vstack([-weights, weights]) / 2, np.hstack([-biases, biases]) / 2
    return {
        "version": VERSION,
        "trained": {
            "examples": examples.per_tier(),
            "accuracy": _short(score.accuracy),
            "interval": [_short(bound) for bound in score.interval],
            "baseline": _short(score.baseline),
        },
        "features": [
            {"name": name, "mean": _short(mean), "scale": _short(scale)}
            for name, mean, scale in zip(FEATURES, scaler.mean_, scaler.scale_, strict=True)
        ],
        "tiers": {
            TIERS[label]: {"bias": _short(bias), "weights": [_short(weight) for weight in row]}
            for label, bias, row in zip(regression.classes_, biases, weights, strict=True)
        },
    }


def _pipeline() -> Pipeline:
    # A thousand steps: the fit of standardised features takes dozens.
    regression = LogisticRegression(C=REGULARISATION, max_iter=1_000)
    return make_pipeline(StandardScaler(), regression)


def _matrix(examples: Examples) -> tuple[Any, Any]:
    counted = [features(example.request) for example in examples.different]
    values = [[row[name] for name in FEATURES] for row in counted]
    labels = [TIERS.index(example.tier) for example in examples.different]
    return np.array(values), np.array(labels)


def _short(number: float) -> float:
    """Six digits: more would differ between machines, and change no decision."""
    return float(f"{number:.6g}")
