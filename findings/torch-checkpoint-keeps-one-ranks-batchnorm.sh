#!/usr/bin/env bash
# A distributed checkpoint of an FSDP2 model holds the batch norm statistics of one rank.
#
# fully_shard shards parameters; buffers stay each rank's own, and differ, since each rank saw other samples.
# dcp.save takes them for replicated, writes one rank's and says nothing; after loading all ranks have those. An
# evaluation before and after a resume differs.
# Versions: torch 2.13.0, gloo, two processes.
# Source: fully_shard's documentation speaks of parameters alone, and dcp.save's not of ranks that disagree.
# raygen: rank 0 alone writes, so a checkpoint has its statistics; docs/architecture.md counts batch norm among
# what depends on the number of workers.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from verdict import verdict


def work(rank, folder, results):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(1), torch.nn.Linear(1, 1))
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    model(torch.full((8, 1), 10.0 * rank))
    own = model[0].running_mean.item()
    dcp.save(get_model_state_dict(model), checkpoint_id=f"{folder}/saved")
    state = get_model_state_dict(model)
    dcp.load(state, checkpoint_id=f"{folder}/saved")
    means = [None, None]
    dist.all_gather_object(means, (own, state["0.running_mean"].item()))
    if rank == 0:
        results.put(means)
    dist.destroy_process_group()


if __name__ == "__main__":
    results = processes.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        processes.spawn(work, (folder, results), nprocs=2)
    before, after = zip(*results.get())
    verdict(
        expected=f"each rank's mean {[round(x, 3) for x in before]}, their mean, or an error",
        seen=f"after loading {[round(x, 3) for x in after]}",
        holds=before[0] != before[1] and after[0] == after[1] and after[0] in before,
    )
PY
