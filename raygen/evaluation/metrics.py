"""Metrics as formulas over the sums that a family's `evaluate` gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raygen.errors import ModelError
from raygen.models.draws import Draws
from raygen.models.protocol import Batch, Family
from raygen.spec import Metric, TrainingJob

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
        error=lambda s, name: _standard_error(s[f"{name}/sum"], s[f"{name}/squares"], s[f"{name}/count"]),
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
ACTIVE_VARIANCE = 0.01
"""A latent variable is active if its posterior mean varies by more than this (Burda et al. 2016, section 5.2)."""


def _standard_error(
    total: NDArray[np.float64], squares: NDArray[np.float64], count: NDArray[np.float64]
) -> float:
    """Of a mean: the deviation of the values, divided by the root of their number."""
    variance = (
        max(float(squares / count - (total / count) ** 2), 0.0) * float(count) / max(float(count) - 1, 1.0)
    )
    return math.sqrt(variance / float(count))


def metric_direction(job: TrainingJob, name: str) -> Literal["min", "max"]:
    """Which way a metric of the job is better."""
    kinds = {metric.name: metric.type for metric in job.spec.evaluation.metrics}
    return "min" if FORMULAS[kinds[name]].lower_is_better else "max"


def evaluate(
    family: Family,
    batches: Iterable[tuple[Batch, Draws]],
    metrics: Iterable[Metric],
    *,
    go_on: Callable[[], bool],
    gather: Callable[[Mapping[str, Any]], list[Mapping[str, Any]]] = lambda own: [own],
) -> dict[str, float] | None:
    """Measures a model on validation batches.

    Args:
        family: The model; its networks are put into evaluation mode and back.
        batches: The whole validation split, on the device, with random numbers for its samples.
        metrics: What to measure.
        go_on: Asked before every batch; False gives up.
        gather: The sums of all workers, given this one's, as JSON values.

    Returns:
        Metric name -> value, and <name>_standard_error where there is one; None if it gave up.

    Raises:
        ModelError: the model has counted nothing.
    """
    modes = {name: network.training for name, network in family.networks.items()}
    for network in family.networks.values():
        network.eval()
    try:
        sums = _sums(family, batches, go_on)
    finally:
        for name, network in family.networks.items():
            network.train(modes[name])
    if sums is None:
        return None
    sums = _added(gather({name: value.tolist() for name, value in sums.items()}))
    empty = [name for name in DENOMINATORS if name in sums and not sums[name].all()]
    if empty:
        raise ModelError(
            f"evaluate gives {empty[0]!r} as 0 over the whole validation split, by which metrics are divided",
            where="spec.model",
            remedy=f"Add up {empty[0]!r} over the samples of the batch.",
        )
    values = {}
    for metric in metrics:
        formula = FORMULAS[metric.type]
        values[metric.name] = formula.value(sums, metric.name)
        if formula.error is not None:
            values[f"{metric.name}_standard_error"] = formula.error(sums, metric.name)
    return values


@torch.inference_mode()
def _sums(family: Family, batches: Iterable[tuple[Batch, Draws]], go_on: Callable[[], bool]) -> Sums | None:
    parts: dict[str, list[Tensor]] = {}
    for batch, draws in batches:
        if not go_on():
            return None
        for name, value in family.evaluate(batch, draws).items():
            parts.setdefault(name, []).append(value)
    # Added up in float64 on the CPU: some devices have none, and float32 would lose digits over many batches.
    return {name: torch.stack(values).cpu().double().sum(dim=0).numpy() for name, values in parts.items()}


def _added(parts: list[Mapping[str, Any]]) -> Sums:
    """Sums over all workers; one that had no batch has none."""
    total: dict[str, NDArray[np.float64]] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, np.zeros(())) + np.asarray(value, dtype=np.float64)
    return total


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
