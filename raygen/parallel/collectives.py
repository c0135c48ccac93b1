"""Sums over all workers, through PyTorch's default process group."""

from __future__ import annotations

import weakref

import torch
import torch.distributed as dist
from torch import Tensor

from raygen.models.protocol import Pending

_running: weakref.WeakSet[_Sum] = weakref.WeakSet()


def sum_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The sums of these tensors over all workers, as Float32, in one message. Their shapes agree on all workers."""
    flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
    dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))


def start_sum(tensor: Tensor) -> Pending:
    """Begins to replace a contiguous tensor by its sum over all workers."""
    running = _Sum(tensor)
    _running.add(running)
    return running


def leave() -> None:
    """Leaves the group, so that whoever waits for this worker in it gets an error.

    Does nothing in a group of NCCL: its watchdogs would end the others' processes.
    """
    if dist.is_initialized() and dist.get_backend() == dist.Backend.GLOO:
        # Connections stay open for as long as anybody holds something that goes on in them.
        for running in _running:
            running.let_go()
        dist.destroy_process_group()


class _Sum:
    """A sum that goes on."""

    def __init__(self, tensor: Tensor) -> None:
        self._work: Pending | None = dist.all_reduce(tensor, async_op=True)

    def wait(self) -> object:
        return None if self._work is None else self._work.wait()

    def let_go(self) -> None:
        self._work = None
