"""How far generated texts are from real ones, by embeddings of both: the area under the divergence frontier, known as MAUVE.

Pillutla et al. 2021 (arXiv 2102.01454) define the frontier and its area; Pillutla et al. 2023 (arXiv 2212.14578) the smoothed histograms.

Shapes: N real texts, M generated ones, D features, K clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raygen.evaluation.text.clusters import directions, kmeans, principal_components

Values = NDArray[np.float64]

SCALE = 5.0
"""c of the paper: how fast exp(-c KL) falls."""
VARIANCE = 0.9
"""Share of the variance that the principal components keep, as in the authors' program."""
TEXTS_PER_CLUSTER = 10
SMOOTHING = 0.5
"""What Krichevsky and Trofimov (1981) add to each count."""
DEALS = 5
"""For each clustering."""
REACH, STEP = 36.0, 0.1
"""Of the integral over t, with a weight of 1 / (1 + exp(-t)): beyond it a weight differs from 0 or 1 by less than a last digit."""


@dataclass(frozen=True)
class Divergence:
    """How near two sets of texts are, from near 0 to 1: larger is better.

    Attributes:
        area: The area under the frontier of the two histograms (section 2 of the paper), exactly, where its program joins 25 points by straight lines; the mean over several clusterings.
        deviation: Standard deviation of the area among clusterings: how far one clustering alone may lie off. It says nothing about other texts. None of a single one.
        smoothed: The same mean with half a text added to each cluster of both sets: less biased where clusters are many and texts few.
        same: The mean area when all texts of both sets are pooled and dealt at random into two sets of the same sizes. An area as high as this says
            that the histograms do not tell the sets apart. It is below 1, and the more so the fewer texts a cluster has.
        clusters: K.
        real: Texts of each cluster of the first clustering, (K,).
        generated: The same.
    """

    area: float
    deviation: float | None
    smoothed: float
    same: float
    clusters: int
    real: tuple[int, ...]
    generated: tuple[int, ...]

    def frontier(self, points: int = 101) -> list[tuple[float, float]]:
        """Points of the frontier for a plot, as `frontier` gives them."""
        return frontier(self.real, self.generated, points)


def divergence(
    real: NDArray[np.floating],
    generated: NDArray[np.floating],
    *,
    clusters: int | None = None,
    clusterings: int = 5,
    seed: int = 0,
) -> Divergence:
    """Compares two sets of texts by their embeddings.

    Embeddings become directions, their principal components with 90 % of the variance, and clusters of k-means over both sets together. The area is that of the two
    histograms over the clusters. All in float64. Beyond the embeddings it needs four copies of them in float64, and nothing that grows with pairs of texts.

    The same embeddings in the same order and the same seed give the same value; another order or seed makes other clusters.

    Args:
        real: (N, D), float32 or float64, of any model that embeds texts.
        generated: (M, D), of the same one.
        clusters: K; by default a tenth of the smaller set, at least 2, as in the authors' program.
        clusterings: How many times texts are clustered, from other first centres. Their program has one, whose area may be some hundredths off.
        seed: Of the clusters, and of the deals for `same`.

    Raises:
        ValueError: a set has fewer texts than clusters, there are no clusterings, or embeddings are not (texts, features), not of the same features, not float32 or float64, or not finite.
    """
    if real.ndim == generated.ndim == 2 and real.shape[1] != generated.shape[1]:
        raise ValueError(f"sets with {real.shape[1]} and {generated.shape[1]} features cannot be compared")
    rows = np.concatenate([directions(real), directions(generated)])
    least = min(len(real), len(generated))
    count = max(2, round(least / TEXTS_PER_CLUSTER)) if clusters is None else clusters
    if not 2 <= count <= least:
        raise ValueError(f"sets of {len(real)} and {len(generated)} texts cannot fill {count} clusters")
    if clusterings < 1:
        raise ValueError(f"texts are clustered at least once, not {clusterings} times")
    components = principal_components(rows, VARIANCE)
    histograms = []
    for number in range(clusterings):
        labels = kmeans(components, count, [seed, number])
        one = np.bincount(labels[: len(real)], minlength=count)
        histograms.append((one, np.bincount(labels[len(real) :], minlength=count)))
    areas = [frontier_area(one, other) for one, other in histograms]
    first, second = histograms[0]
    return Divergence(
        area=math.fsum(areas) / clusterings,
        deviation=float(np.std(areas, ddof=1)) if clusterings > 1 else None,
        smoothed=math.fsum(frontier_area(one + SMOOTHING, other + SMOOTHING) for one, other in histograms)
        / clusterings,
        same=_dealt(histograms, np.random.default_rng([seed, clusterings])),
        clusters=count,
        real=tuple(first.tolist()),
        generated=tuple(second.tolist()),
    )


def _dealt(
    histograms: list[tuple[NDArray[np.int64], NDArray[np.int64]]], random: np.random.Generator
) -> float:
    """The mean area of texts that are dealt at random into sets of the same sizes."""
    areas = []
    for one, other in histograms:
        pooled = one + other
        deals = random.multivariate_hypergeometric(pooled, int(one.sum()), size=DEALS, method="marginals")
        areas += [frontier_area(deal, pooled - deal) for deal in deals]
    return math.fsum(areas) / len(areas)


def frontier(
    p: ArrayLike, q: ArrayLike, points: int = 101, scale: float = SCALE
) -> list[tuple[float, float]]:
    """Points (exp(-c KL(Q|R)), exp(-c KL(P|R))) for mixtures R of P and Q (section 2 of the paper), from R = Q to R = P.

    The first coordinate falls where Q has what P lacks (a model's texts that are not like real ones), the second where P has what Q lacks.

    Args:
        p: (K,) weights or counts of each cluster, of real texts.
        q: The same, of generated ones.
        points: How many, at least 2, at equal steps of the mixture.
        scale: c.

    Raises:
        ValueError: the weights are no histograms of the same clusters, or there are fewer than 2 points.
    """
    if points < 2:
        raise ValueError(f"a frontier has at least 2 points, not {points}")
    one, other = _histogram(p), _histogram(q)
    _same_clusters(one, other)
    weights = np.linspace(0, 1, points)
    x, y = _coordinates(one, other, weights, weights[::-1], scale)
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


def frontier_area(p: ArrayLike, q: ArrayLike, scale: float = SCALE) -> float:
    """The area under the frontier of two histograms: 1 if they are equal, and the same for (q, p).

    From R = Q to the axis, and from R = P to the other one, the frontier goes on straight (the paper's extreme points (1, 0) and (0, 1)). The integral is over t, where the
    weight of P is 1 / (1 + exp(-t)), by the trapezoid rule, which converges faster than any power there.

    Args:
        p: (K,) weights or counts.
        q: The same.
        scale: c.

    Raises:
        ValueError: the weights are no histograms of the same clusters.
    """
    one, other = _histogram(p), _histogram(q)
    _same_clusters(one, other)
    t = np.arange(-REACH, REACH + STEP / 2, STEP)
    weights, rest = 1 / (1 + np.exp(-t)), 1 / (1 + np.exp(t))
    x, y = _coordinates(one, other, weights, rest, scale)
    # The slope of x by t: c x times the sum of q (p - q) / r, times the slope of the weight.
    filled = other > 0
    mixed = np.outer(weights, one[filled]) + np.outer(rest, other[filled])
    slopes = (other[filled] * (one[filled] - other[filled]) / mixed).sum(axis=1) * weights * rest
    area = -np.trapezoid(y * scale * x * slopes, dx=STEP)
    # Beyond the last weight y is 1 to the last digit while x may still fall to 0: a rectangle. At the other end x is 1, and nothing is left.
    return min(float(area + x[-1] * y[-1]), 1.0)


def _coordinates(p: Values, q: Values, weights: Values, rest: Values, scale: float) -> tuple[Values, Values]:
    return (
        np.exp(-scale * _relative_entropies(q, p, rest, weights)),
        np.exp(-scale * _relative_entropies(p, q, weights, rest)),
    )


def _relative_entropies(p: Values, q: Values, weights: Values, rest: Values) -> Values:
    """KL(p|r) in nats of mixtures r with these weights of p, and the rest of q; infinite where r lacks what p has."""
    filled = p > 0
    mixed = np.outer(weights, p[filled]) + np.outer(rest, q[filled])
    with np.errstate(divide="ignore"):
        # Rounding may take a sum a little below 0.
        found: Values = np.maximum((p[filled] * np.log(p[filled] / mixed)).sum(axis=1), 0)
    return found


def _same_clusters(p: Values, q: Values) -> None:
    if p.shape != q.shape:
        raise ValueError(f"histograms have {len(p)} and {len(q)} clusters")


def _histogram(weights: ArrayLike) -> Values:
    own = np.asarray(weights, dtype=np.float64)
    if own.ndim != 1 or not np.isfinite(own).all() or (own < 0).any() or not own.sum():
        raise ValueError("a histogram is (clusters,) of finite weights from 0, not all of them 0")
    shares: Values = own / own.sum()
    return shares
