"""Chooses the device, and fits a job's scale to one machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from raygen import machine
from raygen.errors import InputError
from raygen.spec import TrainingJob

Job = TypeVar("Job", bound=TrainingJob)


def choose_device(name: str = "auto") -> torch.device:
    """The device to train on.

    Args:
        name: `cuda`, `mps` or `cpu`; `auto` takes the first of these that is there.

    Raises:
        InputError: this machine has no such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there.get(name, False):
        known = ", ".join(device for device, available in there.items() if available)
        raise InputError(
            f"this machine has no device {name!r}", where="--device", remedy=f"Choose one of: {known}."
        )
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """The device as its maker calls it, for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} threads" if device.type == "cpu" else _processor()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 (no such file outside Linux)
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def fit(job: Job, device: torch.device, cores: int) -> tuple[Job, list[str]]:
    """Fits the scale of a job to this machine.

    Args:
        job: The job.
        device: Where it trains.
        cores: That may be used.

    Returns:
        The job that runs here, and one sentence for every change.
    """
    scale = job.spec.scale
    changes: dict[str, int] = {}
    notes: list[str] = []
    if scale.cpus_per_worker is not None and scale.cpus_per_worker > cores:
        changes["cpus_per_worker"] = cores
        notes.append(
            f"scale.cpusPerWorker: {scale.cpus_per_worker} -> {cores}; there are {cores_in_words(cores)}"
        )
    there = torch.cuda.device_count() if device.type == "cuda" else 0
    if scale.gpus_per_worker > there:
        changes["gpus_per_worker"] = there
        notes.append(f"scale.gpusPerWorker: {scale.gpus_per_worker} -> {there}; the device is {device.type}")
    gpus = changes.get("gpus_per_worker", scale.gpus_per_worker)
    workers = cores // changes.get("cpus_per_worker", scale.cpus_per_worker or 1)
    if device.type == "cuda":
        workers = min(workers, there // max(gpus, 1))
    elif device.type == "mps":
        workers = 1
    workers = max(min(workers, scale.workers), 1)
    if workers < scale.workers:
        changes["workers"] = workers
        notes.append(
            f"scale.workers: {scale.workers} -> {workers}; more do not fit on {device.type} with {cores_in_words(cores)}"
            " (batches, order and noise do not depend on it)"
        )
    if not changes:
        return job, []
    spec = job.spec.model_copy(update={"scale": scale.model_copy(update=changes)})
    return job.model_copy(update={"spec": spec}), notes


def available_cores() -> int:
    """Cores that this process may use, within its container's CPU limit."""
    return machine.cores().count


def cores_in_words(count: int) -> str:
    """A number of cores, with the container's CPU limit where that is what makes them so few."""
    available = machine.cores()
    return str(available) if count == available.count else str(machine.Cores(count))


@contextmanager
def limited_threads(cores: int) -> Iterator[None]:
    """PyTorch computes with no more threads than cores inside this context, unless OMP_NUM_THREADS says how many.

    PyTorch counts the machine's cores. Where a container may use fewer, its threads would wait for one another.
    """
    threads = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(threads, cores))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
