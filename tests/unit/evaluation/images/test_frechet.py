"""The Frechet distance, against closed forms and itself."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.evaluation.images import frechet
from raygen.evaluation.images.frechet import (
    FeatureSums,
    added,
    frechet_by_class,
    frechet_distance,
    sums_by_class,
)
from raygen.evaluation.images.moments import Moments
from tests.budget import examples


def normal(count: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(mean: Tensor, covariance: Tensor, count: int = 50) -> FeatureSums:
    """Sums that have exactly these moments."""
    return FeatureSums(len(mean), Moments(count, mean, torch.zeros_like(mean), covariance * (count - 1)))


def distance(a: FeatureSums, b: FeatureSums) -> float:
    return frechet_distance(a, b).value


def summed(features: Tensor, batch: int, shards: int = 1, seed: int | None = None) -> FeatureSums:
    """Sums of shards, each of which takes its samples in batches; added up in the order that a seed says."""
    parts = []
    for shard in features.tensor_split(shards):
        total = FeatureSums.of(shard[:0])
        for start in range(0, len(shard), batch):
            total = total.extended(shard[start : start + batch])
        parts.append(total)
    if seed is not None:
        random.Random(seed).shuffle(parts)
    return sum(parts[1:], parts[0])


def test_diagonal_gaussians_have_their_closed_form() -> None:
    a = with_moments(torch.tensor([0.0, 1.0]).double(), torch.tensor([4.0, 9.0]).double().diag())
    b = with_moments(torch.tensor([3.0, -1.0]).double(), torch.tensor([1.0, 16.0]).double().diag())
    # |m1 - m2|^2 + the squared differences of the deviations.
    assert distance(a, b) == pytest.approx((9 + 4) + (2 - 1) ** 2 + (3 - 4) ** 2)


def test_covariances_that_do_not_commute() -> None:
    # For 2x2 matrices tr sqrt(AB) = sqrt(tr(AB) + 2 sqrt(det(AB))).
    first = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
    second = torch.tensor([[1.0, -0.7], [-0.7, 3.0]]).double()
    assert not torch.allclose(first @ second, second @ first)
    product = first @ second
    cross = math.sqrt(product.trace().item() + 2 * math.sqrt(torch.linalg.det(product).item()))
    expected = first.trace().item() + second.trace().item() - 2 * cross
    zero = torch.zeros(2).double()
    found = distance(with_moments(zero, first), with_moments(zero, second))
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_shift_counts_squared() -> None:
    features = normal(200, 5, 1)
    shifted = features + torch.tensor([1.0, 0, 0, 2.0, 0]).double()
    found = distance(FeatureSums.of(features), FeatureSums.of(shifted))
    assert found == pytest.approx(5.0, rel=1e-12)


@examples(40)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 2**16))
def test_no_distance_to_itself_and_the_same_both_ways(count: int, dimensions: int, seed: int) -> None:
    # Fewer samples than dimensions make the covariance singular; that must do no harm.
    a = FeatureSums.of(normal(count, dimensions, seed))
    b = FeatureSums.of(2 * normal(count, dimensions, seed + 1) + 1)
    assert distance(a, a) == pytest.approx(0, abs=1e-12)
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-12)


KINDS = ("plain", "rectified", "dead", "scaled", "few")


def features_like(kind: str, seed: int, dimensions: int = 24) -> Tensor:
    """Features as extractors give them: rectified, with some that are always 0, of very different sizes, of few samples."""
    found = normal(20 if kind == "few" else 700, dimensions, seed)
    if kind in ("rectified", "dead"):
        found = (found + 0.3 * normal(1, dimensions, seed + 1)).clamp(min=0)
    if kind == "dead":
        found[:, :5] = 0
    if kind == "scaled":
        found = found * 10 ** torch.linspace(-3, 3, dimensions).double()
    return found


@examples(30)
@given(
    st.sampled_from(KINDS),
    st.sampled_from((1, 2, 4)),
    st.sampled_from((1, 7, 64)),
    st.sampled_from((0.0, 10.0, 1e4, 1e7)),
    st.integers(0, 2**16),
)
def test_shards_and_batches_change_nothing_in_twelve_digits(
    kind: str, shards: int, batch: int, mean: float, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frechet, "BLOCK", 128)
        fake = FeatureSums.of(1.1 * features_like(kind, seed + 9) + 0.1 + mean)
        real = features_like(kind, seed) + mean
        whole = distance(FeatureSums.of(real), fake)
        assert distance(summed(real, batch, shards, seed), fake) == pytest.approx(whole, rel=1e-12)


def test_batches_on_one_worker_change_no_bit() -> None:
    real = features_like("plain", 3).float() + 50
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frechet, "BLOCK", 100)
        found = [FeatureSums.of(real), *(summed(real, batch) for batch in (1, 7, 64, 100, 333))]
    assert all(torch.equal(sums.covariance(), found[0].covariance()) for sums in found)
    assert all(torch.equal(sums.mean(), found[0].mean()) for sums in found)


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e7])
def test_a_large_mean_costs_no_digits(mean: float) -> None:
    # Multiples of 1/8 stay exact when the mean is added, so the answer is that without it.
    a, b = ((8 * normal(600, 6, seed)).round() / 8 for seed in (0, 1))
    expected = distance(FeatureSums.of(a), FeatureSums.of(2 * b))
    found = distance(summed(a + mean, 50, 4), summed(2 * b + mean, 64, 2))
    assert found == pytest.approx(expected, rel=1e-12)


@examples(20)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=5))
def test_sums_of_parts_are_those_of_the_whole(sizes: list[int]) -> None:
    features = normal(sum(sizes) + 2, 4, 3)
    first, *others = (FeatureSums.of(part) for part in features.split([*sizes, 2]))
    for other in others:
        first = first + other
    assert first.count == len(features)
    torch.testing.assert_close(first.mean(), features.mean(dim=0))
    torch.testing.assert_close(first.covariance(), features.T.cov())


def test_a_batch_that_is_written_to_again_changes_nothing() -> None:
    batch = normal(30, 3, 0)
    sums = FeatureSums.of(batch)
    before = sums.covariance()
    batch.zero_()
    assert torch.equal(sums.covariance(), before)


def test_adding_changes_neither_part() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frechet, "BLOCK", 16)
        a, b = FeatureSums.of(normal(90, 3, 0)), FeatureSums.of(normal(70, 3, 1))
        before = a.covariance(), b.covariance()
        assert (a + b + a).count == 250
    assert torch.equal(a.covariance(), before[0])
    assert torch.equal(b.covariance(), before[1])


def test_float32_features_are_added_in_float64() -> None:
    far = 1000 + normal(5000, 3, 7).float()
    torch.testing.assert_close(FeatureSums.of(far).covariance(), far.double().T.cov(), rtol=1e-12, atol=0)


def test_few_samples_of_many_features_are_flagged_and_take_no_square_of_those() -> None:
    a, b = normal(64, 2048, 0), normal(32, 2048, 1) + 0.1
    found = frechet_distance(FeatureSums.of(a), FeatureSums.of(b))
    assert found.singular
    assert (found.samples, found.dimensions) == ((64, 32), 2048)
    root = torch.linalg.svdvals((a - a.mean(dim=0)) @ (b - b.mean(dim=0)).T).sum() / math.sqrt(63 * 31)
    apart = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    traces = a.var(dim=0).sum() + b.var(dim=0).sum()
    assert found.value == pytest.approx(float(apart + traces - 2 * root), rel=1e-12)


@pytest.mark.parametrize(("count", "singular"), [(5, True), (6, False)])
def test_as_many_samples_as_dimensions_are_too_few(count: int, singular: bool) -> None:
    enough = FeatureSums.of(normal(50, 5, 0))
    assert frechet_distance(FeatureSums.of(normal(count, 5, 1)), enough).singular is singular
    assert frechet_distance(enough, FeatureSums.of(normal(count, 5, 1))).singular is singular


def test_equal_samples_are_as_far_as_their_means() -> None:
    constant = FeatureSums.of(torch.full((40, 3), 2.0))
    assert distance(constant, constant) == 0
    assert distance(constant, FeatureSums.of(torch.full((9, 3), 4.0))) == pytest.approx(12)
    spread_out = normal(40, 3, 0)
    expected = float((spread_out.mean(dim=0) - 2).square().sum() + spread_out.var(dim=0).sum())
    assert distance(constant, FeatureSums.of(spread_out)) == pytest.approx(expected, rel=1e-12)


def test_each_class_by_itself() -> None:
    features, labels = normal(300, 4, 0), torch.arange(300) % 3
    real = sums_by_class(features, labels)
    halves = [sums_by_class(features[part], labels[part]) for part in (slice(0, 130), slice(130, 300))]
    fake = sums_by_class(normal(101, 4, 1), torch.cat([torch.zeros(100), torch.ones(1)]).long())
    found = frechet_by_class(added(*halves), fake)
    assert list(found) == [0, 1, 2]
    first = found[0]
    assert first is not None
    assert first.samples == (100, 100)
    assert first.value == pytest.approx(distance(real[0], fake[0]), rel=1e-12)
    # Of one there is a single sample, of the other none.
    assert (found[1], found[2]) == (None, None)


def test_labels_that_are_not_one_for_each_sample() -> None:
    with pytest.raises(ValueError, match=r"3 samples have labels of the shape \(2,\)"):
        sums_by_class(normal(3, 2, 0), torch.zeros(2))


def test_one_sample_has_no_covariance_and_none_no_mean() -> None:
    one, none = FeatureSums.of(normal(1, 3, 0)), FeatureSums.of(normal(0, 3, 0))
    with pytest.raises(ValueError, match="at least two samples, not 1"):
        one.covariance()
    with pytest.raises(ValueError, match="at least two samples, not 0"):
        frechet_distance(FeatureSums.of(normal(9, 3, 0)), none)
    with pytest.raises(ValueError, match="there are no samples"):
        none.mean()


def test_features_of_different_extractors_are_refused() -> None:
    a, b = FeatureSums.of(normal(9, 3, 0)), FeatureSums.of(normal(9, 4, 0))
    with pytest.raises(ValueError, match="sets with 3 and 4 features cannot be compared"):
        frechet_distance(a, b)
    with pytest.raises(ValueError, match="sums over 3 features cannot be extended by 4"):
        a.extended(normal(2, 4, 0))
    with pytest.raises(ValueError, match="sums over 3 and 4 features cannot be added"):
        a + b
