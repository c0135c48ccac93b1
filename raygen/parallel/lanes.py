"""Each worker's samples of a step, and of the validation split, on its device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from raygen.data.order import lanes_of
from raygen.data.protocol import Arrays, Dataset
from raygen.models.draws import Draws
from raygen.models.protocol import Batch, MicroBatch, Workers
from raygen.parallel.strategy import strategy_of
from raygen.spec import TrainingJob

TRAINING = 0
VALIDATION = 1
"""What draws are for; a part of their key."""


@dataclass(frozen=True)
class Part:
    """Some of a worker's samples of a step, on its device.

    Attributes:
        batch: The tensors.
        draws: Random numbers for the samples.
        weights: Of the samples, (samples,), Float32; None where all count alike.
        weight: Their sum; the number of samples where all count alike.
    """

    batch: Batch
    draws: Draws
    weights: Tensor | None
    weight: float


def parts_of(
    job: TrainingJob, data: Dataset, device: torch.device, step: int, rank: int, workers: int
) -> list[Part]:
    """A worker's samples of a step, from 1, in parts of at most `microBatchSize`, on the device.

    `rank` and `workers` are those of its strategy's data.
    """
    training = job.spec.training
    size = training.global_batch_size
    lanes = lanes_of(rank, workers, size)
    most = training.micro_batch_size or len(lanes)
    first = (step - 1) * size
    parts = []
    for start in range(lanes.start, lanes.stop, most):
        slots = range(start, min(start + most, lanes.stop))
        samples = data.train_batch(range(first + slots.start, first + slots.stop))
        draws = Draws((training.seed, TRAINING, step), slots, device)
        weights, weight = None, float(len(slots))
        if samples.weights is not None:
            weights = to_device({"weights": samples.weights}, device)["weights"]
            weight = float(samples.weights.sum(dtype=np.float64))
        parts.append(Part(to_device(samples.arrays, device), draws, weights, weight))
    return parts


def micro_batches(
    job: TrainingJob, data: Dataset, device: torch.device, step: int, workers: Workers
) -> list[MicroBatch]:
    """This worker's micro-batches of a step, from 1; all workers call it together."""
    strategy = strategy_of(workers)
    parts = parts_of(job, data, device, step, strategy.data_rank, strategy.data_count)
    return with_shares(job, data, device, parts, workers)


def with_shares(
    job: TrainingJob, data: Dataset, device: torch.device, parts: Sequence[Part], workers: Workers
) -> list[MicroBatch]:
    """The parts of a step with their shares of its weight, which all workers add up where samples have weights."""
    total = float(job.spec.training.global_batch_size)
    if data.weighted:
        own = torch.tensor(sum(part.weight for part in parts), dtype=torch.float32, device=device)
        (added,) = workers.sum(own)
        # Where nothing counts, every share is 0.
        total = float(added) or 1.0
    return [MicroBatch(part.batch, part.weight / total, part.draws, part.weights) for part in parts]


def validation_batches(
    job: TrainingJob, data: Dataset, device: torch.device, workers: Workers
) -> Iterator[tuple[Batch, Draws]]:
    """This worker's batches of the validation split on the device, with the random numbers of their samples.

    They are as large as micro-batches: what a device can train on, it can evaluate, and `microBatchSize` bounds both.
    """
    training = job.spec.training
    strategy = strategy_of(workers)
    # The smallest share of a worker, since all have to cut the split alike.
    share = training.global_batch_size // strategy.data_count
    size = min(training.micro_batch_size or share, share)
    first = 0
    for number, samples in enumerate(data.validation_batches(size)):
        count = len(samples)
        places = range(first, first + count)
        first += count
        if number % strategy.data_count == strategy.data_rank:
            yield to_device(samples.arrays, device), Draws((training.seed, VALIDATION), places, device)


def to_device(arrays: Arrays, device: torch.device) -> Batch:
    """Arrays as tensors on a device; from pinned memory to CUDA, so that the copy waits for nothing."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    if device.type == "cuda":
        return {name: t.pin_memory().to(device, non_blocking=True) for name, t in tensors.items()}
    return {name: t.to(device) for name, t in tensors.items()}
