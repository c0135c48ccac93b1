#!/usr/bin/env bash
# Optimizer.load_state_dict rounds Float32 moments to the dtype of the weights.
#
# Moments that are kept in Float32 for BFloat16 weights are saved as they are and come back with 8 bits of
# mantissa: every resume throws away digits, silently, and the next step's moments are BFloat16 too.
# Versions: torch 2.13.0.
# Source: described in a comment of torch/optim/optimizer.py (state that is not `step` is cast to match the
# parameter); there is no option against it.
# raygen: restores each slot with the dtype that was saved (raygen/checkpoint/state.py), and refuses what does not
# fit.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import torch
from verdict import verdict

weight = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
optimizer = torch.optim.AdamW([weight])
weight.grad = torch.ones_like(weight)
optimizer.step()
slots = optimizer.state[weight]
slots["exp_avg"] = torch.full((4,), 0.1234567)  # as an optimizer with Float32 moments would hold it
saved = optimizer.state_dict()

resumed = torch.optim.AdamW([weight])
resumed.load_state_dict(saved)
before, after = saved["state"][0]["exp_avg"], resumed.state[weight]["exp_avg"]
verdict(
    expected=f"the moment comes back as it was: {before.dtype}, {before[0].item():.7f}",
    seen=f"{after.dtype}, {after[0].item():.7f}",
    holds=before.dtype == torch.float32 and after.dtype == torch.bfloat16,
)
PY
