"""Each worker's samples of a step, and of the validation split, on its device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raygen.augmentation.policy import augmented
from raygen.data.order import lanes_of
from raygen.data.protocol import Arrays, Dataset, Samples
from raygen.errors import DataError
from raygen.models.draws import Draws
from raygen.models.protocol import Batch, MicroBatch, Workers
from raygen.parallel.strategy import Strategy
from raygen.spec import Training, TrainingJob

TRAINING, VALIDATION, AUGMENTATION, PARTNERS = range(4)
"""What draws are for; a part of their key."""


@dataclass(frozen=True)
class Part:
    """Some of a worker's samples of a step, on its device.

    Attributes:
        batch: The tensors.
        draws: Random numbers for the samples.
        weights: Of the samples, (samples,), Float32; None where all count alike.
        weight: Their sum; the number of samples where all count alike.
        step: The step that they belong to, from 1.
    """

    batch: Batch
    draws: Draws
    weights: Tensor | None
    weight: float
    step: int


class Batches:
    """Reads batches of the training split, each once: samples that are mixed into others are those of the next step, and are kept for
    it. To read on and go back would load windows of prepared data again and again.
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._kept: dict[range, Samples] = {}

    def take(self, positions: range) -> Samples:
        """A batch for its own step."""
        kept = self._kept.pop(positions, None)
        return self._data.train_batch(positions) if kept is None else kept

    def peek(self, positions: range) -> Samples:
        """A batch that will be taken in the next step."""
        samples = self._data.train_batch(positions)
        # Tensors share the memory of what they are made from.
        copies = {name: array.copy() for name, array in samples.arrays.items()}
        self._kept[positions] = Samples(copies, samples.weights)
        return samples


def parts_of(
    job: TrainingJob,
    data: Dataset,
    device: torch.device,
    step: int,
    rank: int,
    workers: int,
    batches: Batches | None = None,
) -> list[Part]:
    """A worker's samples of a step, from 1, in parts of at most `microBatchSize`, on the device, augmented as the job says.

    Args:
        job: The job.
        data: Its data.
        device: Where the samples go.
        step: The step.
        rank: Number of the worker in its strategy's data.
        workers: How many there are in it.
        batches: What reads the data for one step after another. Default: one that reads for this step alone.

    Raises:
        DataError: the samples have weights that cannot be.
    """
    training = job.spec.training
    size = training.global_batch_size
    lanes = lanes_of(rank, workers, size)
    most = training.micro_batch_size or len(lanes)
    batches = batches or Batches(data)
    slots_of = [range(start, min(start + most, lanes.stop)) for start in range(lanes.start, lanes.stop, most)]
    spans = [_positions(training, step, slots) for slots in slots_of]
    # All of this step, before any of the next one's is looked at.
    own = [batches.take(positions) for positions in spans]
    parts = []
    for slots, positions, samples in zip(slots_of, spans, own, strict=True):
        draws = Draws((training.seed, TRAINING, step), slots, device)
        weights, weight = None, float(len(slots))
        given = _weights(samples, positions, "train", expected=data.weighted)
        if given is not None:
            weights = to_device({"weights": given}, device)["weights"]
            weight = float(given.sum(dtype=np.float64))
        batch = _changed(job, data, batches, to_device(samples.arrays, device), step, slots)
        parts.append(Part(batch, draws, weights, weight, step))
    return parts


def _positions(training: Training, step: int, slots: range) -> range:
    """Positions in the data of some slots of a step."""
    first = (step - 1) * training.global_batch_size
    return range(first + slots.start, first + slots.stop)


def _changed(
    job: TrainingJob, data: Dataset, batches: Batches, batch: Batch, step: int, slots: range
) -> Batch:
    """A training batch as the job's augmentation makes it."""
    spec, training = job.spec.data.augmentation, job.spec.training
    if spec is None:
        return batch
    device = next(iter(batch.values())).device
    draws = Draws((training.seed, AUGMENTATION, step), slots, device)

    def partners() -> tuple[Batch, Draws]:
        # What the same lanes have in the next step: each worker reads it anyway, and no two workers have to agree.
        samples = batches.peek(_positions(training, step + 1, slots))
        return to_device(samples.arrays, device), Draws((training.seed, PARTNERS, step), slots, device)

    return augmented(spec, data.domain, batch, draws, partners)


def micro_batches(
    job: TrainingJob, data: Dataset, device: torch.device, step: int, strategy: Strategy, workers: Workers
) -> list[MicroBatch]:
    """This worker's micro-batches of a step, from 1; all workers call it together."""
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
    return [
        MicroBatch(part.batch, part.weight / total, part.draws, part.weights, part.step) for part in parts
    ]


def validation_batches(
    job: TrainingJob, data: Dataset, device: torch.device, strategy: Strategy
) -> Iterator[tuple[Batch, Draws, Tensor | None]]:
    """This worker's batches of the validation split on the device, with the random numbers of their samples, and their
    weights where they have some.

    They are as large as micro-batches: what a device can train on, it can evaluate, and `microBatchSize` bounds both.

    Raises:
        DataError: the samples have weights that cannot be, or all of them are 0.
    """
    training = job.spec.training
    # The smallest share of a worker, since all have to cut the split alike.
    share = training.global_batch_size // strategy.data_count
    size = min(training.micro_batch_size or share, share)
    first, weighted, total = 0, None, 0.0
    for number, samples in enumerate(data.validation_batches(size)):
        count = len(samples)
        places = range(first, first + count)
        first += count
        given = _weights(samples, places, "validation", expected=weighted)
        weighted = given is not None
        if given is not None:
            total += float(given.sum(dtype=np.float64))
        if number % strategy.data_count == strategy.data_rank:
            weights = None if given is None else to_device({"weights": given}, device)["weights"]
            yield (
                to_device(samples.arrays, device),
                Draws((training.seed, VALIDATION), places, device),
                weights,
            )
    if weighted and total == 0:
        raise DataError(
            "all samples of the validation split have weight 0, so that nothing is measured",
            where="spec.data.validation",
            remedy="Give at least one of them a weight above 0.",
        )


def _weights(
    samples: Samples, places: range, split: str, *, expected: bool | None
) -> NDArray[np.float32] | None:
    """The weights of samples, checked; `expected` says whether there should be any, where that is known.

    Raises:
        DataError: they are not as `raygen.data.protocol` says.
    """
    weights = samples.weights
    if expected is not None and (weights is not None) != expected:
        fault = (
            "have no weights, where all should have" if expected else "have weights, where none should have"
        )
        remedy = (
            "Give weights to all samples or to none, and say in `Dataset.weighted` which it is in training."
        )
    elif weights is None:
        return None
    elif weights.shape != (len(samples),):
        fault = f"have weights of shape {weights.shape} instead of ({len(samples)},)"
        remedy = "Give one weight for each sample."
    elif (wrong := np.flatnonzero(~((weights >= 0) & (weights <= np.finfo(np.float32).max)))).size:
        first = int(wrong[0])
        fault = f"have a weight of {weights[first]}, that of sample {places[first]}"
        remedy = "Give weights that are finite and not negative; 0 leaves a sample out."
    else:
        return weights.astype(np.float32, copy=False)
    raise DataError(f"samples {places[0]} to {places[-1]} {fault}", where=f"spec.data.{split}", remedy=remedy)


def to_device(arrays: Arrays, device: torch.device) -> Batch:
    """Arrays as tensors on a device; from pinned memory to CUDA, so that the copy waits for nothing."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    if device.type == "cuda":
        return {name: t.pin_memory().to(device, non_blocking=True) for name, t in tensors.items()}
    return {name: t.to(device) for name, t in tensors.items()}
