"""Measures a model on validation batches: sums over them, and metrics from the sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raygen.errors import ModelError
from raygen.evaluation.formulas import DENOMINATORS, FORMULAS, Sums
from raygen.evaluation.intervals import ERROR
from raygen.models.draws import Draws
from raygen.models.protocol import Batch, Family
from raygen.spec import Metric

TOGETHER = 64
"""Batches after which what was counted is put together: thousands of small tensors that stay would lie between the large ones that
come and go, and keep their memory from being used again.
"""


def evaluate(
    family: Family,
    batches: Iterable[tuple[Batch, Draws, Tensor | None]],
    metrics: Iterable[Metric],
    *,
    go_on: Callable[[], bool],
    gather: Callable[[Mapping[str, Any]], list[Mapping[str, Any]]] = lambda own: [own],
) -> dict[str, float] | None:
    """Measures a model on validation batches.

    Args:
        family: The model; its networks are put into evaluation mode and back.
        batches: The whole validation split, on the device, with random numbers for its samples, and their weights if they
            have some.
        metrics: What to measure; those of what the model makes are left out.
        go_on: Asked before every batch; False gives up, for all workers.
        gather: What all workers have counted, given what this one has, as JSON values.

    Returns:
        Metric name -> value, and <name>_standard_error where there is one; None if a worker gave up.

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
    own = None if sums is None else {name: value.tolist() for name, value in sums.items()}
    parts = [part["sums"] for part in gather({"sums": own})]
    if None in parts:
        return None
    return values_of(added(parts), metrics)


def sums_by_group(
    family: Family, batches: Iterable[tuple[Batch, Draws, Tensor | None]], groups: int
) -> list[Sums]:
    """What each group of validation batches adds up to; batch i is in group i modulo their number.

    Args:
        family: The model, in evaluation mode.
        batches: As for `evaluate`.
        groups: How many.
    """
    found: list[list[Mapping[str, Any]]] = [[] for _ in range(groups)]
    for number, batch in enumerate(batches):
        sums = _sums(family, [batch], lambda: True)
        found[number % groups].append(sums or {})
    return [added(group) for group in found]


def values_of(sums: Sums, metrics: Iterable[Metric]) -> dict[str, float]:
    """Metrics of the validation split from sums over it; see `evaluate`.

    Raises:
        ModelError: the model has counted nothing.
    """
    empty = [name for name in DENOMINATORS if name in sums and not sums[name].all()]
    if empty:
        raise ModelError(
            f"evaluate gives {empty[0]!r} as 0 over the whole validation split, by which metrics are divided",
            where="spec.model",
            remedy=f"Add up {empty[0]!r} over the samples of the batch.",
        )
    values = {}
    for metric in metrics:
        formula = FORMULAS.get(metric.type)
        if formula is None:
            continue
        values[metric.name] = formula.value(sums, metric.name)
        if formula.error is not None:
            values[metric.name + ERROR] = formula.error(sums, metric.name)
    return values


@torch.inference_mode()
def _sums(
    family: Family, batches: Iterable[tuple[Batch, Draws, Tensor | None]], go_on: Callable[[], bool]
) -> Sums | None:
    parts: dict[str, list[Tensor]] = {}
    for number, (batch, draws, weights) in enumerate(batches, start=1):
        if not go_on():
            return None
        for name, value in family.evaluate(batch, draws, weights).items():
            parts.setdefault(name, []).append(value[None])
        if number % TOGETHER == 0:
            parts = {name: [torch.cat(values)] for name, values in parts.items()}
    # Added up in float64 on the CPU: some devices have none, and float32 would lose digits over many batches.
    return {name: torch.cat(values).cpu().double().sum(dim=0).numpy() for name, values in parts.items()}


def added(parts: Iterable[Mapping[str, Any]]) -> Sums:
    """Sums over all workers or groups; one that had no batch has none."""
    total: dict[str, NDArray[np.float64]] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, np.zeros(())) + np.asarray(value, dtype=np.float64)
    return total
