#!/usr/bin/env bash
# The first optimizer of a process imports the compiler.
#
# Making torch.optim.SGD loads torch._dynamo, torch._inductor and sympy, though nothing is compiled: some 900
# modules more than `import torch`. With several workers on a machine each pays for it in its first seconds, and
# where no bytecode is kept, by compiling all those sources.
# Versions: torch 2.13.0.
# Source: not documented; torch/_compile.py imports torch._dynamo at the first call of a decorated method.
# raygen: calls what lies beneath, so that the compiler is not imported (raygen/training/optimizers/eager.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torch==2.13.0 numpy==2.4.6
look <<'PY'
import sys

import torch
from verdict import verdict

layer = torch.nn.Linear(2, 2)
before = set(sys.modules)
torch.optim.SGD(layer.parameters(), lr=0.1)
added = set(sys.modules) - before
heavy = [name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in added]
verdict(
    expected="an optimizer of two tensors imports next to nothing",
    seen=f"{len(added)} modules, among them {', '.join(heavy) or 'none of the compiler'}",
    holds="torch._dynamo" in heavy and len(added) > 300,
)
PY
