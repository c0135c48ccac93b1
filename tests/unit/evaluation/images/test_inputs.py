"""What every metric refuses, through the metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from raygen.evaluation.images.diversity import mean_pairwise_distance, vendi_score
from raygen.evaluation.images.features import neighbourhood
from raygen.evaluation.images.frechet import FeatureSums
from raygen.evaluation.images.kernel import gaussian_kernel_distance, kernel_distance
from raygen.evaluation.images.probabilities import class_probabilities

GOOD = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
METRICS: dict[str, Callable[[Tensor], object]] = {
    "FeatureSums": FeatureSums.of,
    "kernel_distance": lambda features: kernel_distance(GOOD, features),
    "kernel_distance, real": lambda features: kernel_distance(features, GOOD),
    "gaussian_kernel_distance": lambda features: gaussian_kernel_distance(GOOD, features),
    "neighbourhood": lambda features: neighbourhood(GOOD, features),
    "mean_pairwise_distance": mean_pairwise_distance,
    "vendi_score": vendi_score,
    "class_probabilities": class_probabilities,
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused_by_place(
    metric: Callable[[Tensor], object], value: float
) -> None:
    features = GOOD.clone()
    features[7, 2] = features[11, 0] = value
    with pytest.raises(ValueError, match="of 2 samples are NaN or infinite, first those of 7"):
        metric(features)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_types_with_too_few_digits_are_refused(
    metric: Callable[[Tensor], object], dtype: torch.dtype
) -> None:
    with pytest.raises(ValueError, match=f"{dtype}; they must be float32 or float64"):
        metric(GOOD.to(dtype))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("shape", [(20,), (5, 2, 2), (20, 0)])
def test_other_shapes_are_refused(metric: Callable[[Tensor], object], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="have the shape"):
        metric(torch.zeros(shape))


@pytest.mark.parametrize("metric", [kernel_distance, gaussian_kernel_distance, neighbourhood])
def test_features_of_different_extractors_are_refused(metric: Callable[[Tensor, Tensor], object]) -> None:
    with pytest.raises(ValueError, match="sets with 4 and 3 features cannot be compared"):
        metric(GOOD, GOOD[:, :3])
