"""Which sentence follows which: a logistic model on the embeddings of two sentences, trained on texts and on their sentences in another order.

It is the local coherence model of Xu et al. (2019) in its simplest form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from raygen.evaluation.text.embeddings import Encoded, Vectors

Values = NDArray[np.float64]

ALONE = 0.75
"""What a text of one sentence has: about the mean of good texts."""
RIDGE, STEPS = 1e-4, 300


@dataclass(frozen=True)
class Order:
    """The model.

    Attributes:
        weights: Of the first sentence's embedding, the second one's, their product and their distance, (4 * width,).
        bias: What is added.
    """

    weights: Vectors
    bias: float

    def mean(self, sentences: Sequence[Encoded]) -> float:
        """How likely each sentence follows from the one before, on average, from 0 to 1."""
        if len(sentences) < 2:
            return ALONE
        logits = [
            float((joined(one.vector, other.vector) * self.weights).sum(dtype=np.float64)) + self.bias
            for one, other in pairwise(sentences)
        ]
        return float(np.mean([1 / (1 + np.exp(-np.clip(logit, -30, 30))) for logit in logits]))


def joined(one: Vectors, other: Vectors) -> Vectors:
    """What the model sees of two embeddings, (..., 4 * width)."""
    # Entries of embeddings are about 1 / 20, and those of products so much smaller.
    seen: Vectors = np.concatenate([one, other, one * other * np.float32(20), np.abs(one - other)], axis=-1)
    return seen


def trained_order(first: Vectors, second: Vectors, follows: Values) -> Order:
    """Fits the model by gradient descent with momentum in float64.

    Args:
        first: Embeddings of first sentences, (pairs, width).
        second: Embeddings of second ones, (pairs, width).
        follows: 1 where the second follows in a text, else 0, (pairs,).
    """
    seen = joined(first, second).astype(np.float64)
    weights, bias = np.zeros(seen.shape[1]), 0.0
    last = weights
    rate = 1 / (0.25 * float((seen**2).sum(axis=1).mean() + 1) + RIDGE)
    for step in range(STEPS):
        at = weights + step / (step + 3) * (weights - last)
        error = 1 / (1 + np.exp(-(seen @ at + bias))) - follows
        last = weights
        weights = at - rate * (seen.T @ error / len(seen) + RIDGE * at)
        bias -= rate * float(error.mean())
    return Order(weights.astype(np.float32), bias)
