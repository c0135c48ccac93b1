"""What a job will cost on this machine: measured on its own model and data, a few steps long."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from raygen import machine
from raygen.compute.arithmetic import bfloat16_speed, memory_explained, repeatable
from raygen.compute.device import choose_device, count_gpus, device_name, limited_threads
from raygen.compute.scale import fit
from raygen.data.protocol import Dataset
from raygen.data.remarks import Remark
from raygen.models.draws import Draws
from raygen.models.protocol import Alone, Family, MicroBatch, count_parameters
from raygen.parallel.lanes import micro_batches, to_device
from raygen.parallel.whole import SingleWorker
from raygen.spec import ResolvedJob, TrainingJob, resolve
from raygen.training.opening import open_dataset, open_model
from raygen.training.optimizers.updates import NetworkUpdate, make_updates
from raygen.training.prepare import count_steps

PROBE_STEPS = 20
WARMUP_STEPS = 3
MEMORY_SHARE = 0.9
"""Share of the free memory that the largest micro-batch may fill; the rest is for what is not counted."""


@dataclass(frozen=True)
class Estimate:
    """The cost of a job. Sizes in bytes, times in seconds.

    Attributes:
        device: Name of the device.
        parameters: Trained parameters.
        state_bytes: Weights, gradients, optimizer state and averages.
        activation_bytes: Activations kept for the backward pass of one micro-batch.
        available_bytes: Free memory of the device; of the container, if its limit leaves less.
        memory_limit_bytes: Memory limit of the container; None without one, and on devices with memory of their own.
        cores: Cores that a run may use here.
        cpu_limit: CPU limit of the container, if it is what makes them fewer; else None.
        micro_batch_size: Samples per forward pass, as the job has it.
        largest_micro_batch: The most samples per forward pass that should fit.
        samples_per_epoch: Samples in one pass over the training split.
        steps: Optimizer steps.
        units: Tokens (or what `unit` names) trained on in all steps.
        unit: What units counts.
        epochs: Passes over the training split.
        step_seconds: Median time of a step of the probe.
        seconds: Time for all steps, without evaluation and samples.
        checkpoint_bytes: Size of one checkpoint.
        precision: As the job has it.
        bfloat16_speed: Of matrix products here, over that of Float32: below 1 `precision: BFloat16` is slower.
        remarks: What was skipped or converted while the data was read.
    """

    device: str
    parameters: int
    state_bytes: int
    activation_bytes: int
    available_bytes: int
    memory_limit_bytes: int | None
    cores: int
    cpu_limit: float | None
    micro_batch_size: int
    largest_micro_batch: int
    samples_per_epoch: int
    steps: int
    units: int
    unit: str
    epochs: float
    step_seconds: float
    seconds: float
    checkpoint_bytes: int
    precision: str
    bfloat16_speed: float
    remarks: tuple[Remark, ...] = ()


def estimate(
    job: TrainingJob, base: Path, device: str = "auto", notice: Callable[[str], None] | None = None
) -> Estimate:
    """Builds the model, reads the data and trains a probe of 20 steps; writes nothing.

    Args:
        job: The job.
        base: Folder that relative source paths start from.
        device: As in `train`.
        notice: Takes a sentence now and then, where reading the data takes long.

    Raises:
        InputError: job or data are wrong.
        OutOfMemoryError: not even the probe fits.
    """
    with limited_threads(machine.cores().count):
        chosen = choose_device(device)
        fitted, _ = fit(resolve(job), chosen.type, 1, count_gpus(chosen))
        with closing(open_dataset(fitted, base, {}, notice)) as data:
            return _estimate(fitted, data, chosen)


def _estimate(fitted: ResolvedJob, data: Dataset, chosen: torch.device) -> Estimate:
    training = fitted.spec.training
    steps = count_steps(fitted, data.samples_per_epoch, data.units_per_sample)
    family = open_model(fitted, data, chosen)
    updates = make_updates(family, training, steps, SingleWorker())
    size = training.micro_batch_size or training.global_batch_size
    with memory_explained(chosen), repeatable(chosen, strict=False):
        per_sample, fixed = _activations(family, updates, data, chosen)
        step_seconds = _probe(fitted, family, updates, data, chosen)
        speed = bfloat16_speed(chosen)
    state = _state_bytes(family, updates)
    parameter_bytes = sum(p.nbytes for n in family.networks.values() for p in n.parameters())
    memory, cores = _memory(chosen), machine.cores()
    return Estimate(
        device=device_name(chosen),
        parameters=count_parameters(family),
        state_bytes=state,
        activation_bytes=fixed + per_sample * size,
        available_bytes=memory.free,
        memory_limit_bytes=memory.limit,
        cores=cores.count,
        cpu_limit=cores.quota,
        micro_batch_size=size,
        largest_micro_batch=max(int((memory.free * MEMORY_SHARE - fixed) // max(per_sample, 1)), 0),
        samples_per_epoch=data.samples_per_epoch,
        steps=steps,
        units=steps * training.global_batch_size * data.units_per_sample,
        unit=data.unit,
        epochs=steps * training.global_batch_size / data.samples_per_epoch,
        step_seconds=step_seconds,
        seconds=steps * step_seconds,
        checkpoint_bytes=state - parameter_bytes,
        precision=training.precision,
        bfloat16_speed=speed,
        remarks=tuple(data.remarks),
    )


def _probe(
    job: TrainingJob,
    family: Family,
    updates: Mapping[str, NetworkUpdate],
    data: Dataset,
    device: torch.device,
) -> float:
    times = []
    for step in range(1, WARMUP_STEPS + PROBE_STEPS + 1):
        began = time.perf_counter()
        for update in updates.values():
            update.schedule(step)
        scalars = family.step(
            micro_batches(job, data, device, step, SingleWorker(), Alone()), updates, Alone()
        )
        float(scalars["loss"])  # waits for the device
        times.append(time.perf_counter() - began)
    return statistics.median(times[WARMUP_STEPS:])


def _activations(
    family: Family, updates: Mapping[str, NetworkUpdate], data: Dataset, device: torch.device
) -> tuple[int, int]:
    """Bytes kept for the backward pass: for every sample, and besides. From batches of one and two samples."""
    one, two = (_kept_bytes(family, updates, data, device, samples) for samples in (1, 2))
    return max(two - one, 1), max(2 * one - two, 0)


def _kept_bytes(
    family: Family, updates: Mapping[str, NetworkUpdate], data: Dataset, device: torch.device, samples: int
) -> int:
    owned = {
        p.untyped_storage().data_ptr() for network in family.networks.values() for p in network.parameters()
    }
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = to_device(data.train_batch(range(samples)).arrays, device)
    for update in updates.values():
        update.schedule(1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        family.step([MicroBatch(batch, 1.0, Draws((0,), range(samples), device))], updates, Alone())
    return sum(kept.values())


def _state_bytes(family: Family, updates: Mapping[str, NetworkUpdate]) -> int:
    """Weights, gradients of the same size, optimizer state and averages, after a step was taken."""
    weights = sum(p.nbytes for network in family.networks.values() for p in network.parameters())
    states = sum(
        value.nbytes
        for update in updates.values()
        for optimizer in update.optimizers.values()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    )
    averages = sum(value.nbytes for update in updates.values() for value in update.average.values())
    return 2 * weights + states + averages


def _memory(device: torch.device) -> machine.Memory:
    if device.type == "cuda":
        return machine.Memory(torch.cuda.mem_get_info(device)[0])
    return machine.memory()
