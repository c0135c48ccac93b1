"""Chooses the device of this process, names it, and limits its threads."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from raygen.errors import InputError


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


def count_gpus(device: torch.device) -> int:
    """CUDA devices of this machine; 0 where another kind is used."""
    return torch.cuda.device_count() if device.type == "cuda" else 0


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
