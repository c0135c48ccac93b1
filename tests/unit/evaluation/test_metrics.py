"""Metrics of a validation split whose samples have weights."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from raygen.evaluation.formulas import FORMULAS
from raygen.evaluation.metrics import evaluate
from raygen.models.draws import Draws
from raygen.models.protocol import Batch, weighted_sum
from raygen.spec import Metric

CPU = torch.device("cpu")


class Values:
    """Its loss of a sample is the sample's value."""

    networks: ClassVar[dict[str, Any]] = {}

    def evaluate(self, batch: Batch, draws: Draws, weights: Tensor | None = None) -> dict[str, Tensor]:
        values = batch["values"]
        ones = torch.ones_like(values)
        return {"loss": weighted_sum(values, weights), "count": weighted_sum(ones, weights)}


def test_the_validation_loss_is_the_weighted_mean_however_it_is_cut() -> None:
    values, weights = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.0, 3.0])
    family: Any = Values()
    loss = Metric(name="loss", type="ValidationLoss")
    for size in (1, 2, 3):
        batches = [
            ({"values": values[i : i + size]}, Draws((0,), range(i, i + size), CPU), weights[i : i + size])
            for i in range(0, 3, size)
        ]
        found = evaluate(family, batches, [loss], go_on=lambda: True)
        assert found == {"loss": pytest.approx((1 + 12) / 4)}


def test_a_standard_error_does_not_depend_on_the_scale_of_weights() -> None:
    values = torch.tensor([1.0, 2.0, 4.0, 7.0], dtype=torch.float64)

    def error(weights: Tensor) -> float:
        sums = {
            "n/sum": (weights * values).sum(),
            "n/squares": (weights * values.square()).sum(),
            "n/count": weights.sum(),
            "n/square_weights": weights.square().sum(),
        }
        formula = FORMULAS["NegativeLogLikelihood"].error
        assert formula is not None
        return formula({name: value.numpy() for name, value in sums.items()}, "n")

    ones = torch.ones(4, dtype=torch.float64)
    assert error(ones) == pytest.approx(float(values.std()) / 2)
    assert error(5 * ones) == pytest.approx(error(ones))
    assert error(torch.tensor([1.0, 1.0, 1.0, 0.0]).double()) == pytest.approx(
        float(values[:3].std()) / 3**0.5
    )
