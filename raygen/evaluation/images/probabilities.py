"""What a classifier's probabilities say of generated samples.

Shapes: M samples, K classes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.evaluation.images.inputs import checked

TOLERANCE = 1e-3
"""By how much the probabilities of a sample may miss 1: float32 over many classes does."""


@dataclass(frozen=True)
class ClassifierScore:
    """Inception-style scores of parts of the samples.

    Attributes:
        value: The mean over the parts; from 1 to the number of classes.
        deviation: Over the parts, with their number as divisor, as the score's authors print it behind +-; 0 if there is one.
        parts: How many.
    """

    value: float
    deviation: float
    parts: int


def classifier_score(probabilities: Tensor, splits: int = 10, seed: int | None = 0) -> ClassifierScore:
    """The exponential of the mean divergence of each sample's classes from those of all samples.

    With Inception's 1,008 logits it is known as the Inception score (Salimans et al. 2016, section 4). It looks at no real samples, and
    fewer samples in a part give lower values.

    Args:
        probabilities: (M, K); each sample's add up to 1. `class_probabilities` makes them of logits.
        splits: Parts of nearly equal size.
        seed: Of the order in which samples are dealt into them; None keeps theirs.

    Raises:
        ValueError: there are fewer samples than parts, or values that are not probabilities.
    """
    own = checked(probabilities, splits, "probabilities").double()
    if splits < 1:
        raise ValueError(f"{splits} parts have no score")
    if (own < 0).any() or ((own.sum(dim=1) - 1).abs() > TOLERANCE).any():
        raise ValueError("a sample's values are below 0 or do not add up to 1, as probabilities do")
    if seed is not None:
        own = own[torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))]
    # As floor(M i / splits), like the authors; torch.chunk would give the last part fewer, or no last part.
    edges = [len(own) * number // splits for number in range(splits + 1)]
    scores = torch.tensor([_score(own[a:b]) for a, b in itertools.pairwise(edges)], dtype=torch.float64)
    return ClassifierScore(float(scores.mean()), float(scores.std(correction=0)), splits)


def class_probabilities(logits: Tensor) -> Tensor:
    """Probabilities of a classifier's logits (M, K), in float64, in which even those of the unlikeliest classes are not 0."""
    return torch.softmax(checked(logits, what="logits").double(), dim=1)


def _score(part: Tensor) -> float:
    mean = part.mean(dim=0)
    # p log p - p log q, of which both are 0 where p is.
    divergences = torch.special.xlogy(part, part) - torch.special.xlogy(part, mean)
    return math.exp(float(divergences.sum(dim=1).mean()))
