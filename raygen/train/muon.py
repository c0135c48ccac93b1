"""Muon (Jordan et al. 2024): momentum whose update is made nearly orthogonal, one matrix at a time.

`orthogonalise` is arithmetic on a whole matrix and knows neither momentum nor workers. `Muon` keeps the momentum, and
asks a `Layout` for whole matrices, so that a worker may hold a part of each: the singular values of a part are not
those of the matrix, and orthogonalising parts by themselves gives another optimizer.

torch.optim.Muon computes in BFloat16 on every device, which takes 20 times as long as Float32 on processors without
units for it. State and hyperparameters have its names, so that either reads the other's checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic polynomial: the steepest at zero that keeps singular values near one, within 0.7 to 1.2."""
ITERATIONS = 5
EPSILON = 1e-7
"""The least norm that is divided by."""


class Layout(Protocol):
    """How this worker holds matrices."""

    def whole(self, part: Tensor) -> Tensor:
        """The whole matrix (R, C) of which this worker has `part`; every worker asks in the same order."""
        ...

    def part(self, matrix: Tensor, like: Tensor) -> Tensor:
        """What this worker holds of a whole matrix (R, C), in the shape of `like`."""
        ...


class Whole:
    """Every worker holds whole matrices."""

    def whole(self, part: Tensor) -> Tensor:
        """The same."""
        return part

    def part(self, matrix: Tensor, like: Tensor) -> Tensor:
        """The same."""
        del like
        return matrix


def product_type(device: torch.device) -> torch.dtype:
    """The arithmetic of Muon's matrix products on a device; a function of the kind of device alone.

    BFloat16 where a GPU has units for it. Float32 on every processor, with or without such units: a run may go on
    on another machine, and its numbers must not depend on which.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    return torch.float32


def orthogonalise(matrix_RC: Tensor, kind: torch.dtype) -> Tensor:
    """A matrix's polar factor, roughly: the same singular vectors, and singular values near one.

    Five Newton-Schulz iterations X <- aX + (bG + cG^2)X with G = XX^T, from X scaled to a Frobenius norm of one.

    Args:
        matrix_RC: A whole matrix (R, C), finite.
        kind: Type of the products, BFloat16 or Float32.

    Returns:
        (R, C), of type `kind`; zeros for zeros.
    """
    tall = matrix_RC.shape[0] > matrix_RC.shape[1]
    x = matrix_RC.to(kind)
    x = x.T if tall else x
    x = x / x.norm().clamp(min=EPSILON)
    by_gram = kind == torch.float32 and 2 * x.shape[1] > 3 * x.shape[0]
    x = _iterate_gram(x) if by_gram else _iterate(x)
    return x.T if tall else x


def _iterate(x_SL: Tensor) -> Tensor:
    """The iterations as they are written above; (S, L), of which S is the short side."""
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram_SS = x_SL @ x_SL.T
        x_SL = torch.addmm(x_SL, torch.addmm(gram_SS, gram_SS, gram_SS, beta=b, alpha=c), x_SL, beta=a)
    return x_SL


def _iterate_gram(x_SL: Tensor) -> Tensor:
    """The same on G alone: every factor is a polynomial of G and commutes with it, so X takes part at the ends only.

    17 products of (S, S) and two with X, instead of five and ten: fewer where L > 1.5 S. What Float32 loses by it
    stays below 1e-4 of the result; what BFloat16 would lose does not.
    """
    a, b, c = COEFFICIENTS
    gram_SS = x_SL @ x_SL.T
    product_SS = torch.eye(len(gram_SS), dtype=gram_SS.dtype, device=gram_SS.device)
    for iteration in range(1, ITERATIONS + 1):
        # Without its term aI, which addmm adds.
        factor_SS = torch.addmm(gram_SS, gram_SS, gram_SS, beta=b, alpha=c)
        product_SS = torch.addmm(product_SS, factor_SS, product_SS, beta=a)
        if iteration < ITERATIONS:
            for _ in range(2):
                gram_SS = torch.addmm(gram_SS, factor_SS, gram_SS, beta=a)
    return product_SS @ x_SL


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; weight decay apart from it.

    The rate of a matrix (R, C) is `lr` times sqrt(max(1, R / C)), as in the first implementation.

    Args:
        matrices: Parameters of two dimensions, as the layout has them.
        lr: Learning rate.
        weight_decay: Of the weights; multiplied by the learning rate.
        momentum: Share of the old momentum in the new.
        nesterov: Whether the gradient is added to the momentum once more.
        kind: Type of the products. Default: `product_type` of a matrix's device.
        layout: How this worker holds the matrices. Default: whole.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        nesterov: bool = True,
        kind: torch.dtype | None = None,
        layout: Layout | None = None,
    ) -> None:
        settings = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        super().__init__(matrices, settings)
        self._kind, self._layout = kind, layout or Whole()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Updates every matrix that has a gradient. A closure is never called: a loss is the caller's."""
        del closure
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, matrix.grad, group)

    def _update(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum: Tensor = state["momentum_buffer"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        direction = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
        whole_RC = self._layout.whole(direction)
        update_RC = orthogonalise(whole_RC, self._kind or product_type(whole_RC.device))
        rows, columns = whole_RC.shape
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        rate = group["lr"] * math.sqrt(max(1, rows / columns))
        matrix.add_(self._layout.part(update_RC, matrix), alpha=-rate)
