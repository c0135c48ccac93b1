"""Optimizers without torch._dynamo compute the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from raygen.models.protocol import sort_parameters
from raygen.spec.job import training
from raygen.training.optimizers.eager import take_step
from raygen.training.optimizers.updates import make_optimizers


@pytest.mark.parametrize("kind", ["SGD", "AdaGrad", "Adam", "AdamW", "Muon"])
def test_a_step_is_that_of_the_optimizer(kind: str) -> None:
    courses: list[list[torch.Tensor]] = []
    steps: list[Any] = [take_step, lambda optimizer: optimizer.step()]
    for step in steps:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4))
        spec = getattr(training, kind)(type=kind, learning_rate=0.1, weight_decay=0.1)
        optimizers = make_optimizers(sort_parameters(network), spec)
        for _ in range(3):
            network(torch.tensor([0, 2])).square().sum().backward()
            for optimizer in optimizers.values():
                step(optimizer)
                optimizer.zero_grad()
        courses.append([parameter.detach() for parameter in network.parameters()])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*courses, strict=True))


def test_what_compiles_is_not_imported_where_nothing_is_compiled(base: Path) -> None:
    program = (
        "import sys, torch; from pathlib import Path; from torch import nn; from raygen.spec.job import training;"
        "from raygen.models.protocol import sort_parameters; from raygen.training.optimizers.eager import take_step;"
        "from raygen.training.optimizers.updates import make_optimizers; from tests.unit.training.runs import train;"
        "train(Path(sys.argv[1])); net = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4));"
        "kinds = ('SGD', 'AdaGrad', 'Adam', 'AdamW', 'Muon');"
        "made = [o for kind in kinds for o in make_optimizers(sort_parameters(net),"
        " getattr(training, kind)(type=kind, learning_rate=0.1)).values()];"
        "net(torch.tensor([0])).sum().backward(); [take_step(o) for o in made]; [o.zero_grad() for o in made];"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(base)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False"]
