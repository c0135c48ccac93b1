#!/usr/bin/env bash
# Dropout on a sharded tensor draws the same mask on every rank.
#
# On a CPU mesh each rank draws from its own generator, and with equal seeds, as the documentation wants them, the
# halves of a batch lose the same elements. One process with the same seed drops others. A warning says that
# support on a CPU mesh may not be complete, and not what that means.
# Versions: torch 2.13.0, gloo, two processes.
# Source: torch/distributed/tensor/_random.py, is_rng_supported_mesh: random operators are as on one device where
# the generator has an offset, which the CPU's has not.
# raygen: keys draws by seed, step and sample (raygen/models/draws.py); dropout is each worker's own, from a seed
# that differs by worker.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, ones
from verdict import verdict


def work(rank, meeting, results):
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    batch = ones((2, 1000), device_mesh=init_device_mesh("cpu", (2,)), placements=[Shard(0)])
    torch.manual_seed(0)
    dropped = torch.nn.functional.dropout(batch, 0.5).full_tensor()
    if rank == 0:
        results.put((dropped[0] == dropped[1]).float().mean().item())
    dist.destroy_process_group()


if __name__ == "__main__":
    results = processes.get_context("spawn").SimpleQueue()
    processes.spawn(work, (tempfile.mktemp(), results), nprocs=2)
    same = results.get()
    verdict(
        expected="the two rows of a batch, one on each rank, agree in about half of their elements",
        seen=f"they agree in {same:.1%}",
        holds=same == 1.0,
    )
PY
