#!/usr/bin/env bash
# A weight's low-precision copy outlives an update inside one autocast context.
#
# autocast keeps the BFloat16 copy of every Float32 weight that requires a gradient until the outermost context
# ends. Whoever opens the context around the whole training loop, rather than around each forward pass, trains on
# the first weights for ever: the optimizer writes, and no forward pass reads.
# Versions: torch 2.13.0, on CPU and CUDA alike.
# Source: torch.clear_autocast_cache and the argument `cache_enabled` of torch.autocast; no warning is given.
# raygen: uses no autocast; layers cast their Float32 weights at each use. Its benchmark of a peer clears the
# copies after each optimizer step (docs/decisions.md, 2026-11-25).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import torch
from verdict import verdict

layer = torch.nn.Linear(4, 1, bias=False)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
inputs = torch.ones(8, 4)
losses = []
with torch.autocast("cpu", dtype=torch.bfloat16):
    for _ in range(5):
        loss = (layer(inputs) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(round(loss.item(), 4))
after = round((layer(inputs) - 1).square().mean().item(), 4)
verdict(
    expected="the loss changes with each of five updates",
    seen=f"losses {losses} inside the context; {after} after it",
    holds=len(set(losses)) == 1 and after != losses[0],
)
PY
