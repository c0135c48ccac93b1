"""Kernel distances (maximum mean discrepancies) between two sets of features, in tiles of bounded memory.

Shapes: N real samples, M generated ones, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from raygen.evaluation.images.inputs import checked, same_dimensions
from raygen.evaluation.images.pairs import centre_of, exact, parts, squared_distances

Kernel = Callable[[Tensor, Tensor], Tensor]
"""From float64 features (N, D) and (M, D) to the kernel of all pairs, (N, M)."""

Estimator = Literal["Blocks", "Subsets"]

STRIP = 256
"""Samples whose kernels with those after them are computed at once: what they have with those before them is known by then."""

CONVERTED = 8192
"""Samples up to which a part is converted to float64 as a whole, and not again for each tile."""

SIGMA, SCALE = 10.0, 1000.0
"""Width and factor of CMMD, as its authors have them."""


@dataclass(frozen=True)
class KernelDistance:
    """A squared kernel distance as the mean of estimates from parts of the sets.

    Attributes:
        value: The mean of the estimates. Each is without bias, so that it is below 0 by chance where the sets agree.
        deviation: Of a single estimate (with their number less one as divisor); None if there is one alone. With subsets it is
            what papers print behind +-, and it is not the error of `value`.
        standard_error: Of `value`: `deviation` over the root of the number of parts. With blocks alone, which share no samples and
            so are independent; None with subsets, which share some, or with a single block.
        estimator: Which parts those are.
        parts: How many.
        size: Samples of each set in a part; in one of the first ones where their number does not go into that of the samples.
    """

    value: float
    deviation: float | None
    standard_error: float | None
    estimator: Estimator
    parts: int
    size: tuple[int, int]


def kernel_distance(
    real: Tensor,
    fake: Tensor,
    *,
    estimator: Estimator = "Blocks",
    size: int = 1000,
    subsets: int = 100,
    seed: int = 0,
) -> KernelDistance:
    """The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3.

    With Inception's features it is known as KID (Binkowski et al. 2018, section 4); each estimate is the U-statistic of Gretton et
    al. 2012, eq. 3. Which samples are in a part follows from the seed and from their order.

    Args:
        real: (N, D), at least two samples.
        fake: (M, D), likewise.
        estimator: `Blocks` deals all samples into parts that share none (the B-test of Zaremba et al. 2013). `Subsets` draws
            `subsets` parts of `size` samples, each without repeats but all from the same sets, as KID's authors do.
        size: Samples in a part; with blocks the least number, if there are as many.
        subsets: How many subsets are drawn.
        seed: Of the draws.

    Raises:
        ValueError: features are NaN or infinite, or there are fewer than two samples, or fewer than a subset has.
    """
    real, fake = checked(real, 2), checked(fake, 2)
    same_dimensions(real, fake)
    if size < 2 or subsets < 1:
        raise ValueError(f"{subsets} subsets of {size} samples give no estimate")
    generator = torch.Generator().manual_seed(seed)
    if estimator == "Blocks":
        number = max(min(len(real), len(fake)) // size, 1)
        orders = [torch.randperm(len(a), generator=generator).tensor_split(number) for a in (real, fake)]
        pairs = list(zip(*orders, strict=True))
    else:
        if min(len(real), len(fake)) < size:
            raise ValueError(f"sets of {len(real)} and {len(fake)} samples have no subsets of {size}")
        pairs = [
            tuple(torch.randperm(len(a), generator=generator)[:size] for a in (real, fake))
            for _ in range(subsets)
        ]
    estimates = [_estimate(real, fake, *chosen) for chosen in pairs]
    found = torch.tensor(estimates, dtype=torch.float64)
    deviation = float(found.std()) if len(found) > 1 else None
    error = deviation / math.sqrt(len(found)) if deviation is not None and estimator == "Blocks" else None
    lengths = (len(pairs[0][0]), len(pairs[0][1]))
    return KernelDistance(float(found.mean()), deviation, error, estimator, len(pairs), lengths)


@dataclass(frozen=True)
class GaussianKernelDistance:
    """A squared maximum mean discrepancy with a Gaussian kernel, times 1,000.

    Attributes:
        value: The V-statistic, each sample's pair with itself included (Gretton et al. 2012, eq. 5). This is what the code of
            CMMD's authors reports; it is above 0 even between halves of one set.
        unbiased: The U-statistic (eq. 3), without those pairs.
    """

    value: float
    unbiased: float


def gaussian_kernel_distance(real: Tensor, fake: Tensor, sigma: float = SIGMA) -> GaussianKernelDistance:
    """The distance with the kernel exp(-|x - y|^2 / 2 sigma^2).

    With CLIP's embeddings, each of length 1, it is known as CMMD (Jayasumana et al. 2024). Features are taken as they
    are: whose extractor does not give them length 1 divides before. All pairs count, so time grows with the square of the samples.

    Args:
        real: (N, D), at least two samples.
        fake: (M, D), likewise.
        sigma: Width of the kernel, in units of the features.

    Raises:
        ValueError: features are NaN or infinite, there are fewer than two samples, or sigma is not above 0.
    """
    real, fake = checked(real, 2), checked(fake, 2)
    same_dimensions(real, fake)
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma is {sigma}, and must be above 0")

    def less_than_one(a: Tensor, b: Tensor) -> Tensor:
        # The kernel less 1, which falls out of every sum: nearly all of a kernel of that width is that 1, and would take its digits.
        return torch.expm1(squared_distances(a, b) / (-2 * sigma**2))

    sums = _sums(real, fake, less_than_one, centre_of(real))
    return GaussianKernelDistance(
        SCALE * _with_own_pairs(sums, len(real), len(fake)), SCALE * _unbiased(sums, len(real), len(fake))
    )


def _estimate(real: Tensor, fake: Tensor, chosen: Tensor, others: Tensor) -> float:
    """The U-statistic of the samples with these numbers."""
    left, right = real[chosen], fake[others]
    if max(len(left), len(right)) <= CONVERTED:
        left, right = left.double(), right.double()
    return _unbiased(_sums(left, right, cubic), len(left), len(right))


def cubic(a: Tensor, b: Tensor) -> Tensor:
    """The kernel (x.y / D + 1)^3 of all pairs of (N, D) and (M, D), (N, M)."""
    base = torch.addmm(a.new_ones(()), a / a.shape[1], b.T)
    return base.square().mul_(base)


@dataclass(frozen=True)
class _Sums:
    """Sums of a kernel over pairs: of different samples of the same set, of samples with themselves, and across the sets."""

    real: float
    fake: float
    own_real: float
    own_fake: float
    cross: float


def _sums(real: Tensor, fake: Tensor, kernel: Kernel, centre: Tensor | None = None) -> _Sums:
    cross = torch.zeros((), dtype=torch.float64)
    for rows in parts(len(real)):
        left = exact(real[rows], centre)
        for columns in parts(len(fake)):
            cross += kernel(left, exact(fake[columns], centre)).sum()
    (real_pairs, own_real), (fake_pairs, own_fake) = (_within(a, kernel, centre) for a in (real, fake))
    return _Sums(real_pairs, fake_pairs, own_real, own_fake, float(cross))


def _within(samples: Tensor, kernel: Kernel, centre: Tensor | None) -> tuple[float, float]:
    """Sums over ordered pairs of different samples of one set, and over samples with themselves."""
    apart, own = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for rows in parts(len(samples), size=STRIP):
        left = exact(samples[rows], centre)
        square = kernel(left, left)
        own += square.diagonal().sum()
        apart += square.fill_diagonal_(0).sum()
        for columns in parts(len(samples), rows.stop):
            apart += 2 * kernel(left, exact(samples[columns], centre)).sum()
    return float(apart), float(own)


def _unbiased(sums: _Sums, n: int, m: int) -> float:
    return sums.real / (n * (n - 1)) + sums.fake / (m * (m - 1)) - 2 * sums.cross / (n * m)


def _with_own_pairs(sums: _Sums, n: int, m: int) -> float:
    return (sums.real + sums.own_real) / n**2 + (sums.fake + sums.own_fake) / m**2 - 2 * sums.cross / (n * m)
