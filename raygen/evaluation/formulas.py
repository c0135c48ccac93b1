"""What metrics say, and those of the validation split as formulas over the sums that a family's `evaluate` gives; needs no PyTorch."""

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
class Quality:
    """What a value of a metric type says.

    Attributes:
        unit: Its unit.
        lower_is_better: Which way is a gain.
    """

    unit: str
    lower_is_better: bool


_LESS, _MORE = Quality("", lower_is_better=True), Quality("", lower_is_better=False)

QUALITIES: dict[str, Quality] = {
    "ValidationLoss": Quality("nats", lower_is_better=True),
    "BitsPerByte": Quality("bits/byte", lower_is_better=True),
    "Perplexity": _LESS,
    "NegativeLogLikelihood": Quality("nats", lower_is_better=True),
    "BitsPerDim": Quality("bits/dim", lower_is_better=True),
    "ActiveUnits": _MORE,
    "FrechetDistance": _LESS,
    "KernelDistance": _LESS,
    "Precision": _MORE,
    "Recall": _MORE,
    "Density": _MORE,
    "Coverage": _MORE,
    "ClassifierScore": _MORE,
    "MeanPairwiseDistance": _MORE,
    "VendiScore": _MORE,
    "DistinctNgrams": _MORE,
    "RepeatedNgrams": _LESS,
    "SelfBLEU": _LESS,
}
"""Of each type of metric."""


@dataclass(frozen=True)
class Formula:
    """How a metric type of the validation split is computed.

    Attributes:
        value: The metric, given the sums; NegativeLogLikelihood's carry the metric's name.
        error: Its standard error, where one can be given.
    """

    value: Callable[[Sums, str], float]
    error: Callable[[Sums, str], float] | None = None


FORMULAS: dict[str, Formula] = {
    "ValidationLoss": Formula(lambda s, _: float(s["loss"] / s["count"])),
    "BitsPerByte": Formula(lambda s, _: float(s["loss"] / math.log(2) / s["bytes"])),
    "Perplexity": Formula(lambda s, _: _exp(float(s["loss"] / s["count"]))),
    "NegativeLogLikelihood": Formula(
        lambda s, name: float(s[f"{name}/sum"] / s[f"{name}/count"]),
        error=lambda s, name: _standard_error(
            s[f"{name}/sum"], s[f"{name}/squares"], s[f"{name}/count"], s[f"{name}/square_weights"]
        ),
    ),
    "BitsPerDim": Formula(lambda s, _: float(s["loss"] / math.log(2) / s["dimensions"])),
    "ActiveUnits": Formula(
        lambda s, _: float(
            (s["mean_squares"] / s["count"] - (s["means"] / s["count"]) ** 2 > ACTIVE_VARIANCE).sum()
        ),
    ),
}
"""Of each type that is computed from sums over the validation split."""

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
    return "min" if QUALITIES[kinds[name]].lower_is_better else "max"


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
