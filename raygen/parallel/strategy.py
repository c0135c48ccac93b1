"""How a network's weights, gradients and state are spread over workers: what training asks of any such way.

A strategy belongs to an attempt: it is made once (`raygen.parallel.choice`) and handed to all that need it, and what it
attaches to a network belongs to that network's updates. Training itself knows these two protocols and no implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from raygen.checkpoint import Block


class Spread(Protocol):
    """One network under a strategy. All workers call the same methods in the same order.

    A step is any number of calls of `backward`, then `reduce`, then the optimizer, which sets gradients to None.
    """

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        """Adds the gradients of a loss to those that are there.

        Args:
            loss: A scalar, weighted so that gradients add up over micro-batches and workers.
            last: Whether no gradient of this network comes after it in this step, so that what other workers need
                can be sent while the rest is computed.
        """

    def reduce(self) -> list[Tensor]:
        """Waits until this worker's parameters have the gradients of the whole step, and returns those, in the order
        of the parameters.
        """

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """The L2 norm of the whole network's gradients, a scalar that is the same on all workers.

        Args:
            gradients: What `reduce` returned.
        """

    def pieces(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor | Block]:
        """The parts of the network's state that this worker writes into a checkpoint.

        Args:
            tensors: State by name, as this worker holds it: weights, averages, slots of optimizers.
        """


class Strategy(Protocol):
    """How a run's networks are spread.

    Attributes:
        data_rank: Which part of a step's samples this worker reads, from 0.
        data_count: How many parts there are.
    """

    data_rank: int
    data_count: int

    def attach(self, network: nn.Module) -> Spread:
        """Has a network trained under this strategy, from now on."""
