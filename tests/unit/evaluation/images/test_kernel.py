"""Kernel distances, against their definitions written out over all pairs."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.evaluation.images import pairs
from raygen.evaluation.images.kernel import gaussian_kernel_distance, kernel_distance
from tests.budget import examples


def normal(count: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def polynomial(a: Tensor, b: Tensor) -> float:
    return (float(a @ b) / len(a) + 1) ** 3


def gaussian(a: Tensor, b: Tensor) -> float:
    return math.exp(-float((a - b).square().sum()) / 200)


def mean_over_pairs(kernel, a: Tensor, b: Tensor, *, own: bool = True) -> float:  # type: ignore[no-untyped-def]
    return statistics.fmean(
        kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(b) if own or i != j or a is not b
    )


@examples(8)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 99))
def test_one_block_is_the_mean_over_all_pairs(n: int, m: int, seed: int) -> None:
    real, fake = normal(n, 3, seed), normal(m, 3, seed + 1) + 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "TILE", 5)
        found = kernel_distance(real, fake)
        other = gaussian_kernel_distance(real, fake)
    for kernel, value in ((polynomial, found.value), (gaussian, other.unbiased / 1000)):
        within = sum(mean_over_pairs(kernel, a, a, own=False) for a in (real, fake))
        assert value == pytest.approx(within - 2 * mean_over_pairs(kernel, real, fake), rel=1e-9, abs=1e-12)
    within = sum(mean_over_pairs(gaussian, a, a) for a in (real, fake))
    expected = 1000 * (within - 2 * mean_over_pairs(gaussian, real, fake))
    assert other.value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert (found.estimator, found.parts, found.size) == ("Blocks", 1, (n, m))
    assert (found.deviation, found.standard_error) == (None, None)


def test_blocks_use_every_sample_once_and_know_their_error() -> None:
    found = kernel_distance(normal(1050, 4, 0), normal(1203, 4, 1), size=100)
    assert (found.parts, found.size) == (10, (105, 121))
    assert found.deviation is not None
    assert found.standard_error == pytest.approx(found.deviation / math.sqrt(10))


def test_the_standard_error_is_that_of_repetitions() -> None:
    found = [kernel_distance(normal(400, 4, 2 * i), normal(400, 4, 2 * i + 1), size=40) for i in range(60)]
    errors = [result.standard_error for result in found if result.standard_error is not None]
    spread = statistics.stdev(result.value for result in found)
    assert statistics.fmean(errors) == pytest.approx(spread, rel=0.25)
    # Without bias, the mean of many is 0 but for chance.
    assert abs(statistics.fmean(result.value for result in found)) < 3 * spread / math.sqrt(60)


def test_subsets_follow_from_the_seed_and_have_no_standard_error() -> None:
    real, fake = normal(60, 4, 0), normal(70, 4, 1) + 0.3
    first = kernel_distance(real, fake, estimator="Subsets", size=30, subsets=8, seed=3)
    assert first == kernel_distance(real, fake, estimator="Subsets", size=30, subsets=8, seed=3)
    assert first != kernel_distance(real, fake, estimator="Subsets", size=30, subsets=8, seed=4)
    assert (first.parts, first.size, first.standard_error) == (8, (30, 30), None)
    whole = kernel_distance(real[:60], fake[:60], estimator="Subsets", size=60, subsets=1)
    assert whole.value == pytest.approx(kernel_distance(real, fake[:60]).value, rel=1e-12)


def test_random_numbers_of_others_are_left_alone() -> None:
    before = torch.get_rng_state()
    kernel_distance(normal(30, 2, 0), normal(30, 2, 1), size=10)
    assert torch.equal(torch.get_rng_state(), before)


def test_tiles_change_no_digit_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(300, 16, 0) + 3, normal(300, 16, 1) + 3.1
    whole = kernel_distance(real, fake), gaussian_kernel_distance(real, fake)
    monkeypatch.setattr(pairs, "TILE", 37)
    parts = kernel_distance(real, fake), gaussian_kernel_distance(real, fake)
    for one, other in zip(whole, parts, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-10)


def test_a_common_mean_of_float32_features_leaves_small_distances() -> None:
    # In float32 a kernel of a million has steps of 0.06, which is many times the distance.
    real, fake = ((0.01 * normal(400, 64, seed) + 10).float() for seed in (0, 1))
    apart = float((real.double().mean(dim=0) - fake.double().mean(dim=0)) @ torch.full((64,), 10.0).double())
    found = kernel_distance(real, fake).value
    assert found == kernel_distance(real.double(), fake.double()).value
    # The kernel is nearly linear there, and its second derivative 6 (x.y / D + 1).
    assert found == pytest.approx(3 * 101 * (apart / 64) ** 2 * 2, rel=0.2, abs=0.03)
    assert abs(found) < 0.03


def test_a_gaussian_distance_of_unit_vectors_keeps_its_digits() -> None:
    # exp(-d^2 / 200) of unit vectors is 1 but for some thousandths, of which the distance is another some thousandths.
    a, b = (torch.nn.functional.normalize(normal(200, 32, seed)) for seed in (0, 1))
    found = gaussian_kernel_distance(a, b)
    squares = [torch.cdist(x, y).square().sum() for x, y in ((a, a), (b, b), (a, b))]
    # To first order in 1 / sigma^2, whose next term is a hundredth of it here.
    linear = 1000 * float((2 * squares[2] - squares[0] - squares[1]) / 200**2 / 200)
    assert found.value == pytest.approx(linear, rel=0.02)
    assert gaussian_kernel_distance(a, a).value == pytest.approx(0, abs=1e-12)


def test_constant_images_and_one_or_no_sample() -> None:
    constant = torch.ones(10, 4)
    assert kernel_distance(constant, constant).value == 0
    assert gaussian_kernel_distance(constant, constant).value == 0
    for count in (0, 1):
        for metric in (kernel_distance, gaussian_kernel_distance):
            with pytest.raises(ValueError, match=f"at least 2 samples are needed, not {count}"):
                metric(constant, constant[:count])


def test_parts_that_cannot_be_had() -> None:
    ten = normal(10, 2, 0)
    with pytest.raises(ValueError, match="sets of 10 and 10 samples have no subsets of 11"):
        kernel_distance(ten, ten, estimator="Subsets", size=11)
    with pytest.raises(ValueError, match="100 subsets of 1 samples give no estimate"):
        kernel_distance(ten, ten, size=1)
    with pytest.raises(ValueError, match="sigma is 0, and must be above 0"):
        gaussian_kernel_distance(ten, ten, sigma=0)
