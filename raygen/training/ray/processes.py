"""What Ray Train's controller has its worker processes do: form PyTorch's process group, train, and leave it.

It is Ray's own TorchConfig, but for this: the controller, which is in the driver's process, need not load PyTorch. Imports
Ray, so it comes late.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.train import get_context
from ray.train.backend import Backend, BackendConfig

from raygen.training.engine.store import TIMEOUT_S
from raygen.training.ray.mailbox import Task
from raygen.training.ray.wire import Address

LEAVE_S = 30.0
"""How long workers have to leave the process group; Ray ends them after it all the same."""


class ProcessGroup(BackendConfig):
    """Has workers form a process group: of NCCL where they book GPUs, else of Gloo."""

    @property
    def backend_cls(self) -> type[Backend]:
        """What the controller calls."""
        return _Backend


class _Backend(Backend):
    # Workers of one machine see each other's GPUs, which NCCL needs to reach their memory.
    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:  # noqa: ARG002
        """Called when all workers have started."""
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) > 0 else "gloo"
        address = worker_group.execute_single(0, _free_address)
        joining = [
            worker_group.execute_single_async(rank, _join, backend, address, rank, len(worker_group))
            for rank in range(len(worker_group))
        ]
        ray.get(joining)

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:  # noqa: ARG002
        """Called before workers are ended."""
        with suppress(GetTimeoutError):
            ray.get(worker_group.execute_async(_leave), timeout=LEAVE_S)


def train(task: Task, driver: Address) -> None:
    """The task of each worker."""
    from raygen.training.ray.worker import work

    work(task, driver)


def _free_address() -> tuple[str, int]:
    from ray.train._internal.utils import get_address_and_port

    address, port = get_address_and_port()
    return address, port


def _join(backend: str, address: tuple[str, int], rank: int, count: int) -> None:
    import torch.distributed as dist

    context = get_context()
    # The variables of torchrun, which users' own code and other libraries look at.
    os.environ |= {
        "MASTER_ADDR": address[0],
        "MASTER_PORT": str(address[1]),
        "LOCAL_RANK": str(context.get_local_rank()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "NODE_RANK": str(context.get_node_rank()),
        "RANK": str(rank),
        "WORLD_SIZE": str(count),
    }
    dist.init_process_group(
        backend, init_method="env://", rank=rank, world_size=count, timeout=timedelta(seconds=TIMEOUT_S)
    )


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
