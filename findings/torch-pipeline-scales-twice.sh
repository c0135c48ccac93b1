#!/usr/bin/env bash
# A pipeline schedule divides gradients again that were already divided.
#
# With scale_grads, the default, each call of step() divides the whole .grad by the number of micro-batches, also
# what an earlier call has left there. Two calls before one optimizer step, which is gradient accumulation, give 1
# + 1/n instead of 2.
# Versions: torch 2.13.0; one stage is enough to see it.
# Source: torch.distributed.pipelining documents scale_grads for the loss's mean over micro-batches, and not
# accumulation.
# raygen: has no pipeline; one would pass scale_grads=False and divide once.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import tempfile

import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe
from verdict import verdict

dist.init_process_group("gloo", init_method=f"file://{tempfile.mktemp()}", rank=0, world_size=1)
torch.manual_seed(0)
layer, loss = torch.nn.Linear(4, 4), torch.nn.MSELoss()
inputs, target = torch.randn(8, 4), torch.randn(8, 4)
loss(layer(inputs), target).backward()
single = layer.weight.grad.clone()
layer.zero_grad()

schedule = ScheduleGPipe(PipelineStage(layer, 0, 1, torch.device("cpu")), 4, loss_fn=loss)
shares = []
for _ in range(3):
    schedule.step(inputs, target=target)
    shares.append(round((layer.weight.grad / single).mean().item(), 4))
dist.destroy_process_group()
verdict(
    expected="after one, two and three calls 1, 2 and 3 times the gradient of the batch",
    seen=f"{shares} times",
    holds=shares[0] == 1 and abs(shares[1] - 1.25) < 1e-3,
)
PY
