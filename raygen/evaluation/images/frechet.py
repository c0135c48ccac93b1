"""The Frechet distance between two sets of features, from sums that can be added up over batches and workers.

Shapes: N samples, D features, R rows of a factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from raygen.evaluation.images.inputs import checked
from raygen.evaluation.images.moments import Moments

BLOCK = 4096
"""Samples that are kept as they are before they are folded into moments, or D + 1 if that is more."""

TRUSTED = 1e-10
"""Least ratio of squared pivots at which a Cholesky factor is accurate; below it eigenvalues tell what is 0."""


@dataclass(frozen=True)
class FeatureSums:
    """What is known of some samples' features: enough for their mean and covariance, in float64.

    The first samples are kept as they are, and later ones in blocks of `BLOCK`, so that the result depends on neither the size of
    batches nor, but for the last digits, on the order in which parts are added. At most D samples are never folded, and cost no
    more memory than their moments would.

    Attributes:
        dimensions: D.
        moments: Of the samples that have been folded; None if there are none.
        rows: The others, in batches (N, D).
        waiting: How many those are.
    """

    dimensions: int
    moments: Moments | None = None
    rows: tuple[Tensor, ...] = ()
    waiting: int = 0

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """The sums over features (N, D) of any number of samples, none included.

        Raises:
            ValueError: features are NaN, infinite, of 16 bits or of another shape.
        """
        own = checked(features)
        return cls(own.shape[1])._with(own)

    def extended(self, features: Tensor) -> Self:
        """These sums and further samples (N, D). However samples are cut into batches, the same sums come out, to the bit.

        Raises:
            ValueError: as in `of`, or they have other dimensions.
        """
        own = checked(features)
        if own.shape[1] != self.dimensions:
            raise ValueError(f"sums over {self.dimensions} features cannot be extended by {own.shape[1]}")
        return self._with(own)

    @property
    def count(self) -> int:
        """Samples."""
        return (self.moments.count if self.moments else 0) + self.waiting

    def __add__(self, other: FeatureSums) -> Self:
        """The sums over both sets; ValueError if their features have different dimensions."""
        if self.dimensions != other.dimensions:
            raise ValueError(f"sums over {self.dimensions} and {other.dimensions} features cannot be added")
        moments = self.moments
        if moments is not None and other.moments is not None:
            moments = moments + other.moments
        own = type(self)(self.dimensions, moments or other.moments, self.rows, self.waiting)
        return own._with(torch.cat(other.rows)) if other.rows else own

    def _with(self, batch: Tensor) -> Self:
        """These sums and further rows (N, D), folded as soon as they fill a block."""
        size = max(BLOCK, self.dimensions + 1)
        if self.waiting + len(batch) < size:
            # A copy, since a batch that its owner writes to again must not change what was counted.
            rows = (*self.rows, batch.clone()) if len(batch) else self.rows
            return type(self)(self.dimensions, self.moments, rows, self.waiting + len(batch))
        missing = size - self.waiting
        moments = self.moments
        blocks = [torch.cat([*self.rows, batch[:missing]]) if self.rows else batch[:missing]]
        blocks += [batch[start : start + size] for start in range(missing, len(batch), size)]
        rest = blocks.pop().clone() if len(blocks[-1]) < size else batch[:0]
        for number, block in enumerate(blocks):
            found = Moments.of(block)
            # What this call has made nobody else holds, so that more can be added to it in place.
            fresh = number > 0
            moments = found if moments is None else moments.merged(found, in_place=fresh)
        return type(self)(self.dimensions, moments, (rest,) if len(rest) else (), len(rest))

    def total(self) -> Moments:
        """The moments of all samples; ValueError if there are none."""
        if self.count == 0:
            raise ValueError("there are no samples")
        if self.moments is not None and not self.rows:
            return self.moments
        rest = Moments.of(torch.cat(self.rows))
        return rest if self.moments is None else self.moments + rest

    def mean(self) -> Tensor:
        """The mean, (D,); ValueError if there are no samples."""
        return self.total().mean()

    def covariance(self) -> Tensor:
        """The unbiased covariance, (D, D).

        Raises:
            ValueError: there are fewer than two samples.
        """
        self._require_two()
        return self.total().scatter / (self.count - 1)

    @property
    def few(self) -> bool:
        """Whether the covariance is singular, because there are not more samples than dimensions."""
        return self.count <= self.dimensions

    def _require_two(self) -> None:
        if self.count < 2:
            raise ValueError(f"a covariance needs at least two samples, not {self.count}")

    def _described(self) -> _Normal:
        """The normal distribution of these moments."""
        self._require_two()
        if self.moments is None and self.few:
            rows = torch.cat(self.rows).double()
            origin = rows.mean(dim=0)
            rows -= origin
            offset = rows.mean(dim=0)
            factor = (rows - offset) / math.sqrt(self.count - 1)
            return _Normal(origin, offset, factor, float(factor.square().sum()))
        total = self.total()
        covariance = total.scatter / (self.count - 1)
        return _Normal(total.origin, total.offset, _factor(covariance), float(covariance.trace()))


@dataclass(frozen=True)
class FrechetDistance:
    """A Frechet distance, and from how many samples it is.

    Attributes:
        value: The squared distance, in squared units of the features.
        samples: Of each set.
        dimensions: D.
        singular: Whether a set has no more samples than dimensions. Then its covariance is singular, and the value says more about
            the number of samples than about their quality.
    """

    value: float
    samples: tuple[int, int]
    dimensions: int
    singular: bool


def frechet_distance(a: FeatureSums, b: FeatureSums) -> FrechetDistance:
    """The squared Frechet distance of the normal distributions with these moments (Dowson & Landau 1982, eq. 4).

    With Inception's features it is known as FID (Heusel et al. 2017, eq. 6). Fewer samples give larger values,
    so that only distances from equally many samples compare.

    Raises:
        ValueError: a set has fewer than two samples, or the sets have features of different dimensions.
    """
    if a.dimensions != b.dimensions:
        raise ValueError(f"sets with {a.dimensions} and {b.dimensions} features cannot be compared")
    first, second = a._described(), b._described()
    # The trace of the root of A B is the sum of the singular values of F G', where A = F'F and B = G'G. Those are computed to the
    # last digits of the largest one; eigenvalues of A B, whose roots the usual way takes, only to the root of that.
    cross = torch.linalg.svdvals(first.factor @ second.factor.T).sum()
    apart = ((first.origin - second.origin) + (first.offset - second.offset)).square().sum()
    value = max(float(apart) + first.trace + second.trace - 2 * float(cross), 0.0)
    return FrechetDistance(value, (a.count, b.count), a.dimensions, a.few or b.few)


def sums_by_class(features: Tensor, labels: Tensor) -> dict[int, FeatureSums]:
    """The sums over each class's samples, by label.

    Args:
        features: (N, D).
        labels: (N,) integers.

    Raises:
        ValueError: as `FeatureSums.of`, or there are not as many labels as samples.
    """
    if labels.shape != features.shape[:1]:
        raise ValueError(f"{len(features)} samples have labels of the shape {tuple(labels.shape)}")
    own = labels.cpu()
    return {label: FeatureSums.of(features[own == label]) for label in sorted(set(own.tolist()))}


def added(a: Mapping[int, FeatureSums], b: Mapping[int, FeatureSums]) -> dict[int, FeatureSums]:
    """Sums by class of two parts, added up."""
    return {
        label: a[label] + b[label] if label in a and label in b else a.get(label) or b[label]
        for label in sorted({*a, *b})
    }


def frechet_by_class(
    a: Mapping[int, FeatureSums], b: Mapping[int, FeatureSums]
) -> dict[int, FrechetDistance | None]:
    """The Frechet distance within each class of either set; None where one has fewer than two samples of it."""
    return {
        label: frechet_distance(a[label], b[label])
        if min(sums[label].count if label in sums else 0 for sums in (a, b)) > 1
        else None
        for label in sorted({*a, *b})
    }


@dataclass(frozen=True)
class _Normal:
    """A mean, (D,) in two parts, and a factor F (R, D) of a covariance F'F with its trace."""

    origin: Tensor
    offset: Tensor
    factor: Tensor
    trace: float


def _factor(covariance: Tensor) -> Tensor:
    """A matrix F with F'F as the covariance, (D, D) or fewer rows."""
    lower, failed = torch.linalg.cholesky_ex(covariance)
    pivots = lower.diagonal().square()
    if not failed and pivots.min() > TRUSTED * pivots.max():
        upper: Tensor = lower.T
        return upper
    values, vectors = torch.linalg.eigh(covariance)
    # What rounding has made of zeros would count with its root.
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1].clamp(min=0)
    factor: Tensor = (vectors[:, kept] * values[kept].sqrt()).T
    return factor
