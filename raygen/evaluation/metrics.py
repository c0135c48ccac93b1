"""Metrics as formulas over the sums that a family's `evaluate` gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from raygen.models.draws import Draws
from raygen.models.protocol import Batch, Family
from raygen.spec import Metric, TrainingJob

Sums = Mapping[str, float]


@dataclass(frozen=True)
class Formula:
    """How a metric type is computed.

    Attributes:
        value: The metric, given the sums.
        unit: Its unit.
        lower_is_better: Which way is a gain.
    """

    value: Callable[[Sums], float]
    unit: str
    lower_is_better: bool


FORMULAS: dict[str, Formula] = {
    "ValidationLoss": Formula(lambda s: s["loss"] / s["tokens"], "nats/token", lower_is_better=True),
    "BitsPerByte": Formula(lambda s: s["loss"] / math.log(2) / s["bytes"], "bits/byte", lower_is_better=True),
    "Perplexity": Formula(lambda s: _exp(s["loss"] / s["tokens"]), "", lower_is_better=True),
}


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
) -> dict[str, float] | None:
    """Measures a model on validation batches.

    Args:
        family: The model; its networks are put into evaluation mode and back.
        batches: The whole validation split, on the device, with random numbers for its samples.
        metrics: What to measure.
        go_on: Asked before every batch; False gives up.

    Returns:
        Metric name -> value, or None if it gave up.
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
    return {metric.name: FORMULAS[metric.type].value(sums) for metric in metrics}


@torch.inference_mode()
def _sums(
    family: Family, batches: Iterable[tuple[Batch, Draws]], go_on: Callable[[], bool]
) -> dict[str, float] | None:
    parts: dict[str, list[Tensor]] = {}
    for batch, draws in batches:
        if not go_on():
            return None
        for name, value in family.evaluate(batch, draws).items():
            parts.setdefault(name, []).append(value)
    # Added up in float64 on the CPU: some devices have none, and float32 would lose digits over many batches.
    return {name: float(torch.stack(values).cpu().double().sum()) for name, values in parts.items()}


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
