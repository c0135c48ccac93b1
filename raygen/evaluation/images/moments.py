"""Mean and scatter of features, which can be merged without losing digits to a large mean.

Shapes: N samples, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

PANEL = 128
"""Columns of the scatter that are computed at once: only its upper half is, which saves almost half of the work."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of some samples, in float64.

    A sum of squares has the squared mean in it, and loses as many digits as that has more than the variance. So squares are taken
    about the mean, which is kept in two parts: float64 alone would round a large one by more than the others matter.

    Attributes:
        count: Samples, at least one.
        origin: A point amid the samples, (D,).
        offset: From there to their mean, (D,).
        scatter: Sum of the outer products of what each sample differs from the mean, (D, D).
    """

    count: int
    origin: Tensor
    offset: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Self:
        """The moments of samples (N, D)."""
        centred = rows.double()
        origin = centred.mean(dim=0)
        centred = centred - origin
        offset = centred.mean(dim=0)
        centred -= offset
        return cls(len(rows), origin, offset, _gram(centred))

    def __add__(self, other: Moments) -> Self:
        """The moments of both sets (Chan, Golub & LeVeque 1983)."""
        return self.merged(other, in_place=False)

    def merged(self, other: Moments, *, in_place: bool) -> Self:
        """The moments of both sets; `in_place` makes this one's scatter theirs, and this one invalid."""
        count = self.count + other.count
        apart = (other.origin - self.origin) + (other.offset - self.offset)
        scatter = self.scatter if in_place else self.scatter.clone()
        scatter += other.scatter
        # Columns and rows by the same product, so that it stays symmetric to the bit.
        scaled = apart * (self.count * other.count / count) ** 0.5
        scatter.addr_(scaled, scaled)
        return type(self)(count, self.origin, self.offset + apart * (other.count / count), scatter)

    def mean(self) -> Tensor:
        """The mean, (D,)."""
        return self.origin + self.offset


def _gram(rows: Tensor) -> Tensor:
    """The product of the transpose of rows (N, D) with themselves, (D, D)."""
    size = rows.shape[1]
    product = rows.new_empty(size, size)
    for start in range(0, size, PANEL):
        stop = min(start + PANEL, size)
        product[start:stop, start:] = rows[:, start:stop].T @ rows[:, start:]
        product[stop:, start:stop] = product[start:stop, stop:].T
    return product
