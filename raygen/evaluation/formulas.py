"""Metrics as formulas over the sums that a family's `evaluate` gives; needs no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raygen.spec import TrainingJob
from raygen.spec.job.evaluation import ACTIVE_VARIANCE

Sums = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Formula:
    """How a metric type is computed.

    Attributes:
        value: The metric, given the sums; NegativeLogLikelihood's carry the metric's name.
        unit: Its unit.
        lower_is_better: Which way is a gain.
        error: Its standard error, where one can be given.
    """

    value: Callable[[Sums, str], float]
    unit: str
    lower_is_better: bool
    error: Callable[[Sums, str], float] | None = None


FORMULAS: dict[str, Formula] = {
    "ValidationLoss": Formula(lambda s, _: float(s["loss"] / s["count"]), "nats", lower_is_better=True),
    "BitsPerByte": Formula(
        lambda s, _: float(s["loss"] / math.log(2) / s["bytes"]), "bits/byte", lower_is_better=True
    ),
    "Perplexity": Formula(lambda s, _: _exp(float(s["loss"] / s["count"])), "", lower_is_better=True),
    "NegativeLogLikelihood": Formula(
        lambda s, name: float(s[f"{name}/sum"] / s[f"{name}/count"]),
        "nats",
        lower_is_better=True,
        error=lambda s, name: _standard_error(
            s[f"{name}/sum"], s[f"{name}/squares"], s[f"{name}/count"], s[f"{name}/square_weights"]
        ),
    ),
    "BitsPerDim": Formula(
        lambda s, _: float(s["loss"] / math.log(2) / s["dimensions"]), "bits/dim", lower_is_better=True
    ),
    "ActiveUnits": Formula(
        lambda s, _: float(
            (s["mean_squares"] / s["count"] - (s["means"] / s["count"]) ** 2 > ACTIVE_VARIANCE).sum()
        ),
        "",
        lower_is_better=False,
    ),
}

DENOMINATORS = ("count", "bytes", "dimensions")
"""Sums that count something, and cannot be 0."""


def _standard_error(
    total: NDArray[np.float64],
    squares: NDArray[np.float64],
    count: NDArray[np.float64],
    square_weights: NDArray[np.float64],
) -> float:
    """Of a mean: the deviation of the values, divided by the root of their number.

    Of values with weights it is the number of equal weights that would tell as much (Kish 1965, section 11.7).
    """
    number = float(count) ** 2 / float(square_weights)
    variance = max(float(squares / count - (total / count) ** 2), 0.0) * number / max(number - 1, 1.0)
    return math.sqrt(variance / number)


def metric_direction(job: TrainingJob, name: str) -> Literal["min", "max"]:
    """Which way a metric of the job is better."""
    kinds = {metric.name: metric.type for metric in job.spec.evaluation.metrics}
    return "min" if FORMULAS[kinds[name]].lower_is_better else "max"


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
