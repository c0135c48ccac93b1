"""Fits a job's scale to one machine; needs no PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

from raygen import machine
from raygen.errors import InputError
from raygen.spec import TrainingJob
from raygen.spec.data.reading import RayDataReading

Job = TypeVar("Job", bound=TrainingJob)

_DRIVERS = (
    "dev/nvidiactl",
    "dev/nvidia-uvm",
    "dev/nvhost-ctrl-gpu",  # Jetson
    "dev/nvmap",
    "dev/kfd",  # AMD
    "dev/dxg",  # Windows Subsystem for Linux
)


def may_have_accelerator(root: Path = Path("/")) -> bool:
    """Whether PyTorch might find one here, without asking it, which takes seconds and half a gigabyte.

    Args:
        root: Where devices are.
    """
    return not sys.platform.startswith("linux") or any((root / name).exists() for name in _DRIVERS)


def fit(job: Job, device: str, cores: int, gpus: int) -> tuple[Job, list[str]]:
    """Fits the scale of a job to this machine.

    Args:
        job: The job.
        device: The kind of device that it trains on: `cuda`, `mps` or `cpu`.
        cores: That may be used.
        gpus: How many CUDA devices there are.

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
    if scale.gpus_per_worker > gpus:
        changes["gpus_per_worker"] = gpus
        notes.append(f"scale.gpusPerWorker: {scale.gpus_per_worker} -> {gpus}; the device is {device}")
    each = changes.get("gpus_per_worker", scale.gpus_per_worker)
    workers = cores // changes.get("cpus_per_worker", scale.cpus_per_worker or 1)
    if device == "cuda":
        workers = min(workers, gpus // max(each, 1))
    elif device == "mps":
        workers = 1
    workers = max(min(workers, scale.workers), 1)
    if workers < scale.workers:
        changes["workers"] = workers
        notes.append(
            f"scale.workers: {scale.workers} -> {workers}; more do not fit on {device} with {cores_in_words(cores)}"
            " (batches, order and noise do not depend on it)"
        )
    if not changes:
        return job, []
    spec = job.spec.model_copy(update={"scale": scale.model_copy(update=changes)})
    return job.model_copy(update={"spec": spec}), notes


def fit_reading(job: Job, cores: int) -> tuple[Job, list[str]]:
    """Fits the processes that read data to what those that train leave of this machine.

    Training holds its cores until it ends, so that of two that want the same one would wait for ever.

    Args:
        job: The job; its scale fits.
        cores: That may be used.

    Returns:
        The job that runs here, and one sentence for every change.

    Raises:
        InputError: there is no room for one of them.
    """
    reading, scale = job.spec.data.reading, job.spec.scale
    if not isinstance(reading, RayDataReading):
        return job, []
    training = scale.workers * (scale.cpus_per_worker or 1)
    workers = min((cores - training) // reading.cpus_per_worker, reading.workers)
    if workers < 1:
        raise InputError(
            f"a process that reads data needs {reading.cpus_per_worker} cores beside the {training} of those that train, and"
            f" there are {cores_in_words(cores)}",
            where="spec.data.reading",
            remedy="Remove data.reading, which changes no sample, or lower scale.workers or scale.cpusPerWorker.",
        )
    if workers == reading.workers:
        return job, []
    data = job.spec.data.model_copy(update={"reading": reading.model_copy(update={"workers": workers})})
    note = (
        f"data.reading.workers: {reading.workers} -> {workers}; training takes {training} of {cores_in_words(cores)}"
        " (samples do not depend on it)"
    )
    return job.model_copy(update={"spec": job.spec.model_copy(update={"data": data})}), [note]


def available_cores() -> int:
    """Cores that this process may use, within its container's CPU limit."""
    return machine.cores().count


def cores_in_words(count: int) -> str:
    """A number of cores, with the container's CPU limit where that is what makes them so few."""
    available = machine.cores()
    return str(available) if count == available.count else str(machine.Cores(count))
