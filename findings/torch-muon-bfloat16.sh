#!/usr/bin/env bash
# torch.optim.Muon computes in BFloat16 on every device, whatever the parameters are.
#
# The Newton-Schulz iteration casts Float32 gradients to BFloat16. On a processor without BFloat16 units each of
# its products is many times slower than in Float32 (20 times for 128x128 with AVX2 alone), so that Muon can cost
# more than the rest of the step; and the orthogonal matrix has two digits.
# Versions: torch 2.13.0.
# Source: the class's documentation names no dtype; the cast is in torch/optim/_muon.py.
# raygen: orthogonalises in the arithmetic that is fast on the device at hand.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from verdict import verdict

products = set()


class Products(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
            products.add(str(result.dtype))
        return result


weight = torch.nn.Parameter(torch.randn(8, 8))
weight.grad = torch.randn(8, 8)
optimizer = torch.optim.Muon([weight], lr=0.1)
with Products():
    optimizer.step()
verdict(
    expected=f"products in the dtype of weight and gradient, {weight.dtype}",
    seen=f"products in {', '.join(sorted(products)) or 'none'}",
    holds=products == {"torch.bfloat16"},
)
PY
