#!/usr/bin/env bash
# The noise of a small batch is not the beginning of the noise of a larger one.
#
# With one seed, torch.rand(n) is a prefix of torch.rand(m). torch.randn is not: below 16 numbers it takes another
# path, from 16 on it fills blocks of 16 and draws the last 16 again where n is no multiple. So a latent vector
# changes with the size of the batch that it was drawn in, and with the memory layout of the tensor that is
# filled.
# Versions: torch 2.13.0, on the CPU; CUDA has rules of its own.
# Source: not documented; the notes on reproducibility speak of releases, platforms and devices.
# raygen: draws the numbers of 32 samples at a time, keyed by seed, step and block (raygen/models/draws.py), so
# that the size of a micro-batch and the number of workers change nothing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import torch
from verdict import verdict


def drawn(kind, count):
    return getattr(torch, kind)(count, generator=torch.Generator().manual_seed(0))


def shared(kind, small, large):
    same = drawn(kind, small) == drawn(kind, large)[:small]
    return int(same.cumprod(0).sum())


pairs = [(15, 16), (20, 24), (100, 200)]
normal = [shared("randn", *pair) for pair in pairs]
uniform = [shared("rand", *pair) for pair in pairs]
rows = torch.empty(8, 8).normal_(generator=torch.Generator().manual_seed(0))
columns = torch.empty(8, 8).t().normal_(generator=torch.Generator().manual_seed(0))
same_numbers = torch.equal(rows.flatten().sort().values, columns.flatten().sort().values)
verdict(
    expected="of 15, 20 and 100 numbers all are equal to the first of 16, 24 and 200 with the same seed",
    seen=f"equal: {uniform} for rand, {normal} for randn; a transposed tensor gets the same numbers: {same_numbers}",
    holds=uniform == [15, 20, 100] and all(n < small for n, (small, _) in zip(normal, pairs)) and not same_numbers,
)
PY
