"""PyTorch's optimizers without torch._dynamo, which they import as soon as they are made, and again at each step.

Nothing of an optimizer is ever compiled here, and the import takes seconds in every process that trains.
"""

from __future__ import annotations

import inspect

import torch
from torch.optim import Optimizer

_HIDDEN = ("add_param_group", "zero_grad")
"""Methods that PyTorch hides from torch.compile, for which it imports torch._dynamo at their first call."""
_MARK = "__dynamo_disable"
"""Where PyTorch keeps what it calls in place of such a method (torch/_compile.py)."""


def show_optimizers() -> None:
    """Has those methods called as they are. Call it before an optimizer is made; without effect where PyTorch no longer
    hides them.
    """
    for name in _HIDDEN:
        method = inspect.unwrap(getattr(Optimizer, name))
        if getattr(method, _MARK, None) is None:
            setattr(method, _MARK, method)


@torch.no_grad()
def take_step(optimizer: Optimizer) -> None:
    """`optimizer.step()` without its hooks, of which there are none, and its graph breaks, which import torch._dynamo."""
    inspect.unwrap(type(optimizer).step)(optimizer)
