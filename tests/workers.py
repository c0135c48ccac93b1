"""Workers that train together as threads of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
SECONDS = 30


class Crowd:
    """Workers of one process.

    Args:
        count: How many.

    Attributes:
        workers: One for each thread.
        messages: Sizes of the tensors that each worker has sent, in numbers, in its order.
    """

    def __init__(self, count: int) -> None:
        self.workers = [Worker(self, rank, count) for rank in range(count)]
        self.messages: list[list[int]] = [[] for _ in range(count)]
        self._sent: dict[tuple[int, int], tuple[Tensor, ...]] = {}
        self._changed = threading.Condition()

    def run(self, work: Callable[[Worker], T]) -> list[T]:
        """What each worker returns, in the order of their ranks."""
        with ThreadPoolExecutor(len(self.workers)) as threads:
            return [done.result(2 * SECONDS) for done in [threads.submit(work, w) for w in self.workers]]

    def send(self, rank: int, tensors: tuple[Tensor, ...]) -> int:
        """Sends one message to all; gives its number, which is that of the others' messages it is added to."""
        with self._changed:
            number = len(self.messages[rank])
            self.messages[rank].append(sum(tensor.numel() for tensor in tensors))
            self._sent[number, rank] = tuple(tensor.detach().clone() for tensor in tensors)
            self._changed.notify_all()
        return number

    def total(self, number: int) -> tuple[Tensor, ...]:
        """The sums of that message over all workers, once all have sent it."""
        ranks = range(len(self.workers))
        with self._changed:
            if not self._changed.wait_for(
                lambda: all((number, rank) in self._sent for rank in ranks), SECONDS
            ):
                raise TimeoutError(f"message {number} was not sent by all")
            everyone = [self._sent[number, rank] for rank in ranks]
        return tuple(torch.stack(same).sum(dim=0) for same in zip(*everyone, strict=True))


@dataclass(frozen=True)
class Sum:
    """A sum that was started; the tensor holds it after `wait`."""

    crowd: Crowd
    number: int
    tensor: Tensor

    def wait(self) -> None:
        self.tensor.copy_(self.crowd.total(self.number)[0])


class Worker:
    """One of them."""

    def __init__(self, crowd: Crowd, rank: int, count: int) -> None:
        self.crowd = crowd
        self.rank = rank
        self.count = count

    def sum(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.crowd.total(self.crowd.send(self.rank, tensors))

    def start_sum(self, tensor: Tensor) -> Sum:
        return Sum(self.crowd, self.crowd.send(self.rank, (tensor,)), tensor)
