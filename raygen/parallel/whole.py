"""Networks that this worker holds as a whole."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Whole:
    """A network whose weights, gradients and state are all on this worker, and on no other.

    Args:
        network: The network, on its device.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parameters = list(network.parameters())

    def backward(self, loss: Tensor, *, last: bool = False) -> None:  # noqa: ARG002 (nothing waits for it here)
        """Adds the gradients of a loss."""
        torch.autograd.backward(loss)

    def reduce(self) -> list[Tensor]:
        """All gradients, in the order of their parameters."""
        return [p.grad for p in self._parameters if p.grad is not None]

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """The L2 norm of all gradients together, a scalar."""
        return nn.utils.get_total_norm(gradients)

    def pieces(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All of it."""
        return tensors


class SingleWorker:
    """The strategy of one worker, which holds everything and reads every sample."""

    data_rank = 0
    data_count = 1

    def attach(self, network: nn.Module) -> Whole:
        """The network as it is."""
        return Whole(network)
