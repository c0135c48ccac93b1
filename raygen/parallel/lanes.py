"""Each worker's samples of a step, and of the validation split, on its device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from raygen.data.order import lanes_of
from raygen.models.draws import Draws
from raygen.models.protocol import Batch, MicroBatch, Workers
from raygen.spec import TrainingJob

Arrays = dict[str, NDArray[Any]]

TRAINING = 0
VALIDATION = 1
"""What draws are for; a part of their key."""


class Data(Protocol):
    """What the loop asks of a data set.

    Attributes:
        unit: What throughput counts.
        units_per_sample: How many of them a sample has.
    """

    unit: str
    units_per_sample: int

    def train_batch(self, positions: range) -> Arrays:
        """The samples at these positions."""

    def validation_batches(self, size: int) -> Iterator[Arrays]:
        """The whole validation split, `size` samples at a time."""


def micro_batches(
    job: TrainingJob, data: Data, device: torch.device, step: int, workers: Workers
) -> list[MicroBatch]:
    """This worker's samples of a step, from 1, in parts of at most `microBatchSize`, on the device."""
    training = job.spec.training
    size = training.global_batch_size
    lanes = lanes_of(workers.rank, workers.count, size)
    part = training.micro_batch_size or len(lanes)
    first = (step - 1) * size
    parts = []
    for start in range(lanes.start, lanes.stop, part):
        slots = range(start, min(start + part, lanes.stop))
        arrays = data.train_batch(range(first + slots.start, first + slots.stop))
        draws = Draws((training.seed, TRAINING, step), slots, device)
        parts.append(MicroBatch(to_device(arrays, device), len(slots) / size, draws))
    return parts


def validation_batches(
    job: TrainingJob, data: Data, device: torch.device, workers: Workers
) -> Iterator[tuple[Batch, Draws]]:
    """This worker's batches of the validation split on the device, with the random numbers of their samples.

    They are as large as micro-batches: what a device can train on, it can evaluate, and `microBatchSize` bounds both.
    """
    training = job.spec.training
    # The smallest share of a worker, since all have to cut the split alike.
    share = training.global_batch_size // workers.count
    size = min(training.micro_batch_size or share, share)
    first = 0
    for number, arrays in enumerate(data.validation_batches(size)):
        count = len(next(iter(arrays.values())))
        places = range(first, first + count)
        first += count
        if number % workers.count == workers.rank:
            yield to_device(arrays, device), Draws((training.seed, VALIDATION), places, device)


def to_device(arrays: Arrays, device: torch.device) -> Batch:
    """Arrays as tensors on a device; from pinned memory to CUDA, so that the copy waits for nothing."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    if device.type == "cuda":
        return {name: t.pin_memory().to(device, non_blocking=True) for name, t in tensors.items()}
    return {name: t.to(device) for name, t in tensors.items()}
