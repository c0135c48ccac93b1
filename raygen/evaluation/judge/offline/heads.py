"""From features of a case to a score: the expected score is 1 + 4 / (1 + exp(-(bias + weights * features))), and no weight is negative.

So a score rises with each feature whatever the others are, and what lowered it can be told. The weights are fitted to cases made by script, whose
faults are more regular than those of models; therefore each is held near a weight that was written down before, as a prior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raygen.evaluation.judge.rubrics import HIGHEST, LOWEST, MetricName

Values = NDArray[np.float64]

FAITH = 0.01
"""How strongly weights are held near their priors, beside the mean loss of the cases."""
STEPS, NEAR = 4000, 1e-10


@dataclass(frozen=True)
class Feature:
    """A feature of a metric.

    Attributes:
        name: Its name.
        prior: The weight that is expected: what a whole step from 0 to 1 adds to the logarithm of the odds.
        fault: What is said of an answer that has little of it.
    """

    name: str
    prior: float
    fault: str


FEATURES: dict[MetricName, tuple[Feature, ...]] = {
    "Groundedness": (
        Feature("close", 2.0, "sentences are far from anything in the context"),
        Feature("covered", 2.0, "words are not in the context"),
        Feature("alike", 2.5, "what is said has no counterpart in the context"),
        Feature("least", 1.0, "a part has no counterpart in the context"),
        Feature("pairs", 0.6, "words go together in another way than in the context"),
        Feature("worst", 1.0, "one sentence has little support"),
        Feature("numbers", 1.2, "numbers are not in the context"),
        Feature("names", 1.2, "names are not in the context"),
        Feature("agreed", 0.8, "a sentence says no where the context does not, or the other way round"),
    ),
    "Relevance": (
        Feature("close", 3.5, "the answer is far from the question"),
        Feature("nearest", 1.5, "no sentence is near to the question"),
        Feature("point", 1.0, "sentences are beside the point"),
        Feature("covered", 1.0, "parts of the question are not taken up"),
        Feature("kind", 1.2, "it lacks what the question asks for, as a number or a name"),
        Feature("own", 2.0, "it repeats the question"),
        Feature("willing", 1.5, "it does not answer"),
        Feature("sound", 0.8, "it is hard to understand"),
    ),
    "Coherence": (
        Feature("follow", 1.5, "sentences do not follow from those before"),
        Feature("near", 1.5, "sentences have little to do with each other"),
        Feature("least", 1.0, "one sentence has nothing to do with the one before"),
        Feature("fresh", 2.5, "sentences repeat each other"),
        Feature("agreed", 1.0, "a sentence says the opposite of another one"),
        Feature("close", 1.0, "it is far from the question"),
        Feature("right", 2.0, "words are wrong where they stand"),
        Feature("natural", 1.0, "its words follow each other in an unusual way"),
        Feature("ended", 0.6, "it breaks off"),
    ),
    "Fluency": (
        Feature("right", 3.0, "words are wrong where they stand"),
        Feature("worst", 1.5, "some words are wrong where they stand"),
        Feature("natural", 1.5, "its words follow each other in an unusual way"),
        Feature("fresh", 2.5, "words are repeated"),
        Feature("known", 1.0, "it has words that are hardly any"),
        Feature("ended", 0.6, "it breaks off"),
        Feature("written", 0.4, "capital letters or marks are missing"),
    ),
    "Similarity": (
        Feature("close", 4.5, "it means something else than the ground truth"),
        Feature("alike", 1.5, "parts of one have no counterpart in the other"),
        Feature("covered", 0.5, "it has other words than the ground truth"),
        Feature("numbers", 1.0, "numbers differ from the ground truth"),
        Feature("names", 0.7, "names differ from the ground truth"),
        Feature("agreed", 1.0, "one says no and the other does not"),
    ),
}
"""Of each metric, all from 0, or from -1, to 1, and the more the better."""


@dataclass(frozen=True)
class Head:
    """How the features of a metric add up.

    Attributes:
        weights: By feature, none negative.
        bias: What is added.
        usual: Features of answers without a fault, by feature: what an explanation compares with.
    """

    weights: tuple[float, ...]
    bias: float
    usual: tuple[float, ...]

    def expected(self, features: Sequence[float]) -> float:
        """The expected score, from 1 to 5."""
        total = self.bias + math.fsum(
            weight * value for weight, value in zip(self.weights, features, strict=True)
        )
        return LOWEST + (HIGHEST - LOWEST) / (1 + math.exp(-total))

    def losses(self, features: Sequence[float]) -> list[float]:
        """What each feature takes away beside an answer without a fault, in logarithms of odds; negative where it adds."""
        listed = zip(self.weights, self.usual, features, strict=True)
        return [weight * (usual - value) for weight, usual, value in listed]


def fitted(features: Values, scores: Values, priors: Sequence[float]) -> Head:
    """The head that gives cases their scores as nearly as it can, by projected gradient descent with momentum (Nesterov 1983) in float64.

    Args:
        features: (cases, features).
        scores: From 1 to 5, (cases,).
        priors: The expected weights, (features,).
    """
    targets = (scores - LOWEST) / (HIGHEST - LOWEST)
    prior = np.asarray(priors, dtype=np.float64)
    centre = features.mean(axis=0)
    centred = features - centre
    weights, bias = prior.copy(), 0.0
    last_weights, last_bias = weights, bias
    # The loss bends at most this much.
    rate = 1 / (0.25 * float((centred**2).sum(axis=1).mean() + 1) + 2 * FAITH)
    for step in range(STEPS):
        ahead = step / (step + 3)
        at, at_bias = weights + ahead * (weights - last_weights), bias + ahead * (bias - last_bias)
        error = 1 / (1 + np.exp(-np.clip((centred * at).sum(axis=1) + at_bias, -50, 50))) - targets
        last_weights, last_bias = weights, bias
        slope = (centred * error[:, None]).mean(axis=0) + 2 * FAITH * (at - prior)
        weights, bias = np.maximum(at - rate * slope, 0.0), at_bias - rate * float(error.mean())
        if max(float(np.abs(weights - last_weights).max()), abs(bias - last_bias)) < NEAR:
            break
    best = features[scores >= HIGHEST - 0.25]
    usual = (best if len(best) else features).mean(axis=0)
    return Head(
        tuple(float(weight) for weight in weights),
        float(bias - (centre * weights).sum()),
        tuple(float(value) for value in usual),
    )
