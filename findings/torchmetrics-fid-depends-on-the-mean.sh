#!/usr/bin/env bash
# The Frechet distance of float64 features changes when the same number is added to all of them.
#
# torchmetrics adds up squares that have the mean in them, and takes the mean's square away at the end, so digits are lost where features have a
# large common mean. A distance does not depend on it.
# Versions: torchmetrics 1.9.0, torch 2.13.0.
# Source: not documented; FrechetInceptionDistance.update and compute in torchmetrics/image/fid.py.
# raygen: adds up squares about the mean (raygen/evaluation/images/moments.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torchmetrics==1.9.0 torch==2.13.0 torchvision==0.28.0 torch-fidelity==0.4.0
look <<'PY'
import warnings

import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from verdict import verdict

warnings.simplefilter("ignore")


class Given(torch.nn.Module):
    num_features = 32

    def forward(self, features):
        return features


def distance(real, fake):
    metric = FrechetInceptionDistance(feature=Given()).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return float(metric.compute())


def drawn(seed):
    # Multiples of 1/8 stay exact when 2^20 is added.
    return (8 * torch.randn(500, 32, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)).round() / 8


real, fake = drawn(0), drawn(1)
near, far = distance(real, fake), distance(real + 2.0**20, fake + 2.0**20)
verdict(expected=f"{near:.6f} both times", seen=f"{near:.6f}, and {far:.6f} with 2^20 added", holds=abs(far / near - 1) > 1e-5)
PY
