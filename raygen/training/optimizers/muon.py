"""Muon (Jordan et al. 2024): momentum whose update is made nearly orthogonal, one matrix at a time.

`orthogonalise` is arithmetic on a whole matrix and knows neither momentum nor workers. `Muon` keeps the momentum, and
asks a `Layout` for whole matrices, so that a worker may hold a part of each: the singular values of a part are not
those of the matrix, and orthogonalising parts by themselves gives another optimizer.

torch.optim.Muon computes in BFloat16 on every device, which takes 20 times as long as Float32 on processors without
units for it. State and hyperparameters have its names, so that either reads the other's checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from raygen.compute.arithmetic import has_bfloat16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic polynomial: the steepest at zero that keeps singular values near one, within 0.7 to 1.2."""
ITERATIONS = 5
EPSILON = 1e-7
"""The least norm that is divided by."""
BATCH_ELEMENTS = 2**21
"""Matrices of a shape are multiplied together up to this size: small products gain by it, large ones only need memory."""


class Layout(Protocol):
    """How this worker holds matrices. Every worker asks for the same ones in the same order."""

    def shape(self, part: Tensor) -> torch.Size:
        """(R, C) of the whole matrix of which this worker has `part`; the same on every worker."""
        ...

    def whole(self, part: Tensor) -> Tensor:
        """The whole matrix (R, C), from the parts that the workers give."""
        ...

    def part(self, matrix: Tensor, like: Tensor) -> Tensor:
        """What this worker holds of a whole matrix (R, C), in the shape of `like`."""
        ...


class Whole:
    """Every worker holds whole matrices."""

    def shape(self, part: Tensor) -> torch.Size:
        """The shape of the whole matrix, which the worker holds."""
        return part.shape

    def whole(self, part: Tensor) -> Tensor:
        """The whole matrix, which the part is."""
        return part

    def part(self, matrix: Tensor, like: Tensor) -> Tensor:
        """The part of the matrix that this worker holds: all of it."""
        del like
        return matrix


def product_type(device: torch.device) -> torch.dtype:
    """The arithmetic of Muon's matrix products on a device; a function of the kind of device alone.

    BFloat16 where a GPU has units for it. Float32 on every processor, with or without such units: a run may go on
    on another machine, and its numbers must not depend on which.
    """
    return torch.bfloat16 if device.type == "cuda" and has_bfloat16(device) else torch.float32


def orthogonalise(matrices_NRC: Tensor, kind: torch.dtype) -> Tensor:
    """Polar factors of matrices, roughly: the same singular vectors, and singular values near one.

    Five Newton-Schulz iterations X <- aX + (bG + cG^2)X with G = XX^T, from X scaled to a Frobenius norm of one.

    Args:
        matrices_NRC: Whole matrices (N, R, C), finite.
        kind: Type of the products, BFloat16 or Float32.

    Returns:
        (N, R, C), of type `kind`; zeros for zeros.
    """
    tall = matrices_NRC.shape[1] > matrices_NRC.shape[2]
    x = matrices_NRC.to(kind)
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    short, long = sorted(x.shape[1:])
    if kind == torch.float32 and 2 * long > 3 * short:
        factors_NSS = _gram_factors(x.mT @ x if tall else x @ x.mT)
        return torch.bmm(x, factors_NSS) if tall else torch.bmm(factors_NSS, x)
    return _iterate(x.mT).mT if tall else _iterate(x)


def _iterate(x_NSL: Tensor) -> Tensor:
    """The iterations as they are written above; (N, S, L), of which S is the short side."""
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram_NSS = x_NSL @ x_NSL.mT
        factor_NSS = torch.baddbmm(gram_NSS, gram_NSS, gram_NSS, beta=b, alpha=c)
        x_NSL = torch.baddbmm(x_NSL, factor_NSS, x_NSL, beta=a)
    return x_NSL


def _gram_factors(gram_NSS: Tensor) -> Tensor:
    """What the iterations multiply X by, from G alone: each factor is a polynomial of G and commutes with it.

    With X at the ends that makes 17 products of (S, S) and two with X, instead of five and ten: fewer where L > 1.5 S.
    What Float32 loses by it stays below a thousandth of the result; what BFloat16 would lose does not.
    """
    a, b, c = COEFFICIENTS
    for iteration in range(1, ITERATIONS + 1):
        # Without its term aI, which the sums below have.
        factor_NSS = torch.baddbmm(gram_NSS, gram_NSS, gram_NSS, beta=b, alpha=c)
        if iteration < ITERATIONS:
            for _ in range(2):
                gram_NSS = torch.baddbmm(gram_NSS, factor_NSS, gram_NSS, beta=a)
        if iteration == 1:
            product_NSS = factor_NSS
            product_NSS.diagonal(dim1=1, dim2=2).add_(a)
        else:
            product_NSS = torch.baddbmm(product_NSS, factor_NSS, product_NSS, beta=a)
    return product_NSS


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
            for batch in self._batches(group["params"]):
                self._update(batch, group)

    def _batches(self, matrices: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
        """Those that have a gradient, by the shape of the whole, as many as are faster together."""
        by_shape: dict[torch.Size, list[nn.Parameter]] = {}
        for matrix in matrices:
            if matrix.grad is not None:
                by_shape.setdefault(self._layout.shape(matrix), []).append(matrix)
        for shape, same in by_shape.items():
            count = max(BATCH_ELEMENTS // shape.numel(), 1)
            for start in range(0, len(same), count):
                yield same[start : start + count]

    def _update(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        """One step of matrices whose whole has the same shape."""
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        momenta = [self._momentum(matrix) for matrix in matrices]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        directions = (
            torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
        )
        wholes_NRC = torch.stack([self._layout.whole(direction) for direction in directions])
        updates_NRC = orthogonalise(wholes_NRC, self._kind or product_type(wholes_NRC.device))
        rows, columns = wholes_NRC.shape[1:]
        rate = group["lr"] * math.sqrt(max(1, rows / columns))
        weights: list[Tensor] = list(matrices)
        parts = [
            self._layout.part(update, matrix) for matrix, update in zip(matrices, updates_NRC, strict=True)
        ]
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(weights, parts, alpha=-rate)

    def _momentum(self, matrix: nn.Parameter) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        momentum: Tensor = state["momentum_buffer"]
        return momentum
