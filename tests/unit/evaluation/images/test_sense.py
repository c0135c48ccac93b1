"""Whether metrics rise with what is wrong: digits that are blurred, noisy, or of which some never come."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from raygen.evaluation.images.diversity import vendi_score
from raygen.evaluation.images.features import neighbourhood
from raygen.evaluation.images.frechet import FeatureSums, frechet_distance
from raygen.evaluation.images.kernel import gaussian_kernel_distance, kernel_distance
from tests.unit.evaluation.images.corruptions import all_rise, blurred, noisy, shuffled_digits, without

COUNT = 2500


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    return shuffled_digits(2 * COUNT)


def features(images: Tensor) -> Tensor:
    """Brightness of 7 x 7 cells, and how much each differs between neighbouring pixels, (N, 98)."""
    across = (images[..., 1:] - images[..., :-1]).abs()[..., :-1, :]
    down = (images[..., 1:, :] - images[..., :-1, :]).abs()[..., :-1]
    edges = torch.nn.functional.pad(across + down, (0, 1, 0, 1))
    return torch.cat([avg_pool2d(part, 4).flatten(1) for part in (images, edges)], dim=1)


def distances(real: Tensor, fake: Tensor) -> dict[str, float]:
    a, b = features(real), features(fake)
    return {
        "Frechet": frechet_distance(FeatureSums.of(a), FeatureSums.of(b)).value,
        "kernel": kernel_distance(a, b, size=len(a) // 3).value,
        "Gaussian": gaussian_kernel_distance(a, b).value,
    }


def test_halves_of_one_set_are_near_the_floor(digits: tuple[Tensor, Tensor]) -> None:
    images, _ = digits
    found = distances(images[:COUNT], images[COUNT:])
    # The floor is what halves of any other deal are apart.
    generator = torch.Generator().manual_seed(2)
    deals = [torch.randperm(2 * COUNT, generator=generator) for _ in range(5)]
    floor = [distances(images[deal[:COUNT]], images[deal[COUNT:]]) for deal in deals]
    slightly = distances(images[:COUNT], noisy(images[COUNT:], 0.05))
    for name in ("Frechet", "Gaussian"):
        others = [one[name] for one in floor]
        assert 0.7 * min(others) < found[name] < 1.4 * max(others)
        assert slightly[name] > 3 * max(others)
    # Without bias, it is about 0 and not above it.
    assert abs(found["kernel"]) < slightly["kernel"] / 3


def test_blur_counts_the_more_there_is(digits: tuple[Tensor, Tensor]) -> None:
    real, other = digits[0][:COUNT], digits[0][COUNT:]
    found = [distances(real, blurred(other, sigma)) for sigma in (0.5, 1.0, 1.5, 2.0, 3.0)]
    assert all_rise([distances(real, other), *found])


def test_noise_counts_the_more_there_is(digits: tuple[Tensor, Tensor]) -> None:
    real, other = digits[0][:COUNT], digits[0][COUNT:]
    found = [distances(real, noisy(other, sigma)) for sigma in (0.02, 0.05, 0.1, 0.2, 0.4)]
    assert all_rise([distances(real, other), *found])


def test_digits_that_never_come_count_the_more_there_are(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    others = [without(images[COUNT:], labels[COUNT:], least) for least in (0, 1, 3, 5)]
    found = [distances(images[:COUNT], other) for other in others]
    assert all_rise(found)


def test_digits_that_never_come_cost_coverage_and_diversity_and_blur_costs_precision(
    digits: tuple[Tensor, Tensor],
) -> None:
    images, labels = digits[0][:1000], digits[1]
    real, even = features(images), features(digits[0][1000:2000])
    few = features(digits[0][1000:][labels[1000:] >= 5][:1000])
    whole, half = neighbourhood(real, even), neighbourhood(real, few)
    assert half.coverage < 0.75 * whole.coverage
    assert half.recall < whole.recall
    assert vendi_score(few) < vendi_score(even)
    soft = neighbourhood(real, features(blurred(digits[0][1000:2000], 2.0)))
    assert soft.precision < 0.5 * whole.precision
    assert soft.density < 0.5 * whole.density
