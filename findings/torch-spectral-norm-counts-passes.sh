#!/usr/bin/env bash
# Spectral norm gives another result at each forward pass, and so depends on how a batch is cut.
#
# The parametrization does a power iteration whenever its weight is read in training mode, also under no_grad. Two
# passes over the same images differ, gradients that are accumulated over four micro-batches are not those of the
# batch, and with several workers each has iterated on its own.
# Versions: torch 2.13.0.
# Source: torch.nn.utils.parametrizations.spectral_norm documents an iteration per forward call; that gradient
# accumulation then changes the training is not said.
# raygen: iterates once before each update of the discriminator (docs/decisions.md, 2026-11-24, "One power
# iteration for an update").
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import torch
from torch.nn.utils.parametrizations import spectral_norm
from verdict import verdict

inputs = torch.randn(64, 128, generator=torch.Generator().manual_seed(1))


def gradient(parts):
    torch.manual_seed(0)
    layer = spectral_norm(torch.nn.Linear(128, 128, bias=False))
    for part in inputs.chunk(parts):
        (layer(part).square().sum() / len(inputs)).backward()
    return layer.parametrizations.weight.original.grad


whole, cut = gradient(1), gradient(4)
off = ((whole - cut).norm() / whole.norm()).item()
torch.manual_seed(0)
layer = spectral_norm(torch.nn.Linear(128, 128, bias=False))
with torch.no_grad():
    first, second = layer(inputs), layer(inputs)
passes = ((first - second).norm() / first.norm()).item()
verdict(
    expected="the gradient of one batch is the sum of its four micro-batches' (to 1e-6), two passes are equal",
    seen=f"gradients differ by {off:.1%}, two passes under no_grad by {passes:.2%}",
    holds=off > 1e-3 and passes > 1e-4,
)
PY
