"""The Frechet distance, against closed forms and itself."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raygen.evaluation.frechet import FeatureSums, frechet_distance


def normal(count: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(mean: Tensor, covariance: Tensor, count: int = 50) -> FeatureSums:
    """Sums that have exactly these moments."""
    products = covariance * (count - 1) + count * torch.outer(mean, mean)
    return FeatureSums(count, mean * count, products)


def test_diagonal_gaussians_have_their_closed_form() -> None:
    a = with_moments(torch.tensor([0.0, 1.0]).double(), torch.tensor([4.0, 9.0]).double().diag())
    b = with_moments(torch.tensor([3.0, -1.0]).double(), torch.tensor([1.0, 16.0]).double().diag())
    # |m1 - m2|^2 + the squared differences of the deviations.
    assert frechet_distance(a, b) == pytest.approx((9 + 4) + (2 - 1) ** 2 + (3 - 4) ** 2)


def test_covariances_that_do_not_commute() -> None:
    # For 2x2 matrices tr sqrt(AB) = sqrt(tr(AB) + 2 sqrt(det(AB))).
    first = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
    second = torch.tensor([[1.0, -0.7], [-0.7, 3.0]]).double()
    assert not torch.allclose(first @ second, second @ first)
    product = first @ second
    cross = math.sqrt(product.trace().item() + 2 * math.sqrt(torch.linalg.det(product).item()))
    expected = first.trace().item() + second.trace().item() - 2 * cross
    zero = torch.zeros(2).double()
    found = frechet_distance(with_moments(zero, first), with_moments(zero, second))
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_shift_counts_squared() -> None:
    features = normal(200, 5, 1)
    shifted = features + torch.tensor([1.0, 0, 0, 2.0, 0]).double()
    found = frechet_distance(FeatureSums.of(features), FeatureSums.of(shifted))
    assert found == pytest.approx(5.0, abs=1e-6)


@settings(deadline=None, derandomize=True)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 2**16))
def test_no_distance_to_itself_and_the_same_both_ways(count: int, dimensions: int, seed: int) -> None:
    # Fewer samples than dimensions make the covariance singular; that must do no harm.
    a = FeatureSums.of(normal(count, dimensions, seed))
    b = FeatureSums.of(2 * normal(count, dimensions, seed + 1) + 1)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-5, abs=1e-5)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=5))
def test_sums_of_parts_are_those_of_the_whole(sizes: list[int]) -> None:
    features = normal(sum(sizes), 4, 3)
    first, *others = (FeatureSums.of(part) for part in features.split(sizes))
    for other in others:
        first = first + other
    assert first.count == len(features)
    torch.testing.assert_close(first.mean(), features.mean(dim=0))
    torch.testing.assert_close(first.covariance(), features.T.cov())


def test_float32_features_are_added_in_float64() -> None:
    far = 1000 + normal(5000, 3, 7).float()
    torch.testing.assert_close(FeatureSums.of(far).covariance(), far.double().T.cov(), rtol=1e-6, atol=1e-6)


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="at least two samples, not 1"):
        FeatureSums.of(normal(1, 3, 0)).covariance()
