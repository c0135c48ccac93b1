"""Sums over all workers, through PyTorch's default process group."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from raygen.models.protocol import Pending


def sum_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The sums of these tensors over all workers, as Float32, in one message. Their shapes agree on all workers."""
    flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
    dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))


def start_sum(tensor: Tensor) -> Pending:
    """Begins to replace a contiguous tensor by its sum over all workers."""
    pending: Pending = dist.all_reduce(tensor, async_op=True)
    return pending
