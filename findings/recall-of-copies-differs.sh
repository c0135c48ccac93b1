#!/usr/bin/env bash
# A generator that copies every image ten times has recall 0 in one library and 1 in another.
#
# Each copy's five nearest neighbours among the generated are copies, so the balls around generated samples have no radius. prdc takes a
# point for inside if its distance is less than the radius, torch-fidelity if it is not greater, which holds at 0 = 0.
# Versions: prdc 0.2, torch-fidelity 0.4.0, torch 2.13.0.
# Source: not documented; Kynkaanniemi et al. 2019, eq. 1, has "less than or equal".
# raygen: counts as prdc does, and says how many balls have no radius (raygen/evaluation/images/features.py, docs/evaluation.md).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages prdc==0.2 torch-fidelity==0.4.0 torch==2.13.0 torchvision==0.28.0
look <<'PY'
import contextlib
import io

import torch
from prdc import compute_prdc
from torch_fidelity.metric_prc import prc_features_to_metric
from verdict import verdict

real = torch.randn(60, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
fake = real.repeat(10, 1)
with contextlib.redirect_stdout(io.StringIO()):
    one = compute_prdc(real.numpy(), fake.numpy(), 5)["recall"]
    other = prc_features_to_metric(fake, real, prc_neighborhood=5, verbose=False)["recall"]
verdict(
    expected="the same recall of the same features",
    seen=f"prdc {one:g}, torch-fidelity {float(other):g}",
    holds=one == 0 and float(other) == 1,
)
PY
