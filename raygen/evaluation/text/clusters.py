"""Embeddings as histograms: directions, their principal components, and k-means over both sets together.

Shapes: N rows, D features, d components, K clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Labels = NDArray[np.int64]

TILE = 1024
"""Rows whose distances to all centres are in memory at the same time."""
SEEDS = 4096
"""Rows that first centres are drawn from, or 8 a cluster where that is more."""
RESTARTS, STEPS = 3, 100


def directions(embeddings: NDArray[np.floating]) -> Values:
    """Rows of length 1 in float64, (N, D); a row of zeros stays one.

    Raises:
        ValueError: they are not (N, D) in float32 or float64, or not finite.
    """
    if embeddings.ndim != 2 or 0 in embeddings.shape or embeddings.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"embeddings are {embeddings.dtype} of the shape {embeddings.shape}, and not float32 or float64 of (texts, features)"
        )
    own = embeddings.astype(np.float64)
    bad = ~np.isfinite(own).all(axis=1)
    if bad.any():
        raise ValueError(
            f"embeddings of {bad.sum()} texts are NaN or infinite, first those of {bad.argmax()}"
        )
    # Squares of what is very large or very small would leave the range.
    own /= np.maximum(np.abs(own).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    lengths = np.sqrt(np.einsum("nd,nd->n", own, own))
    unit: Values = own / np.where(lengths > 0, lengths, 1.0)[:, None]
    return unit


def principal_components(rows: Values, share: float) -> Values:
    """Rows (N, D) in as few principal components as have this share of the variance, (N, d); distances shrink by what is left out.

    Components come from the covariance, which is D x D whatever N is.
    """
    centred = rows - rows.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    parts = np.maximum(variances[::-1], 0).cumsum()
    if parts[-1] == 0:
        alike: Values = centred[:, :1]
        return alike
    count = int(np.searchsorted(parts, share * parts[-1])) + 1
    projected: Values = centred @ axes[:, ::-1][:, :count]
    return projected


def kmeans(rows: Values, count: int, seed: int | Sequence[int] = 0) -> Labels:
    """The cluster of each row (N,), from 0 to K - 1, by Lloyd's algorithm from k-means++ (Arthur & Vassilvitskii 2007), the best of three starts.

    The same rows in the same order and the same seed give the same clusters. A cluster that loses its last row keeps its centre, and may stay empty.

    Args:
        rows: (N, d).
        count: Clusters, K; at most N.
        seed: Of the first centres: a number, or several.
    """
    random = np.random.default_rng(seed)
    best, least = np.zeros(len(rows), dtype=np.int64), np.inf
    for _ in range(RESTARTS):
        centres = _first_centres(rows, count, random)
        labels, loss = _assigned(rows, centres)
        for _ in range(STEPS):
            sizes = np.bincount(labels, minlength=count)
            filled = sizes > 0
            starts = (sizes.cumsum() - sizes)[filled]
            sums = np.add.reduceat(rows[labels.argsort(kind="stable")], starts)
            centres[filled] = sums / sizes[filled, None]
            before = labels
            labels, loss = _assigned(rows, centres)
            if np.array_equal(labels, before):
                break
        if loss < least:
            best, least = labels, loss
    return best


def _first_centres(rows: Values, count: int, random: np.random.Generator) -> Values:
    """Rows far from each other, (K, d): each is drawn by its squared distance to the nearest one before it."""
    pool = min(len(rows), max(SEEDS, 8 * count))
    own = rows[np.sort(random.choice(len(rows), pool, replace=False))]
    centres = np.empty((count, rows.shape[1]))
    centres[0] = own[random.integers(pool)]
    lengths = np.einsum("nd,nd->n", own, own)
    nearest = np.full(pool, np.inf)
    for place in range(1, count):
        last = centres[place - 1]
        distances = np.maximum(lengths - 2 * (own @ last) + last @ last, 0)
        nearest = np.minimum(nearest, np.where(distances < 1e-14 * lengths, 0, distances))
        reach = nearest.cumsum()
        # Where all rows are copies of centres, any will do.
        at = np.searchsorted(reach, random.random() * reach[-1], side="right") if reach[-1] > 0 else place
        centres[place] = own[min(int(at), pool - 1)]
    return centres


def _assigned(rows: Values, centres: Values) -> tuple[Labels, float]:
    """The nearest centre of each row (N,), of equally near ones the first, and the sum of squared distances."""
    labels = np.empty(len(rows), dtype=np.int64)
    lengths = np.einsum("kd,kd->k", centres, centres)
    loss = 0.0
    for start in range(0, len(rows), TILE):
        tile = rows[start : start + TILE]
        # Without the row's own length, which changes no order.
        distances = lengths - 2 * (tile @ centres.T)
        chosen = distances.argmin(axis=1)
        labels[start : start + TILE] = chosen
        loss += float(distances[np.arange(len(tile)), chosen].sum() + np.einsum("nd,nd->", tile, tile))
    return labels, loss
