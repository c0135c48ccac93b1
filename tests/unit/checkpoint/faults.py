"""Small states, and a storage that stops working after a given number of operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from raygen.checkpoint import Loaded
from raygen.storage import Buffer, Entry, Storage


class Killed(BaseException):
    """Stands for SIGKILL: no handler may run on it."""


class Mortal:
    """A storage whose process dies at its n-th change, right before or right after it.

    Attributes:
        mourners: Called at its death.
    """

    def __init__(
        self,
        inner: Storage,
        clock: list[int],
        moment: str = "before",
        mourners: list[Callable[[], None]] | None = None,
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._moment = moment
        self.mourners: list[Callable[[], None]] = [] if mourners is None else mourners

    @property
    def uri(self) -> str:
        return self._inner.uri

    def within(self, folder: str) -> Mortal:
        return Mortal(self._inner.within(folder), self._clock, self._moment, self.mourners)

    def read(self, key: str) -> bytes:
        return self._inner.read(key)

    def open(self, key: str) -> BinaryIO:
        return self._inner.open(key)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        return self._inner.list(prefix)

    def exists(self, key: str) -> bool:
        return self._inner.exists(key)

    def size(self, key: str) -> int:
        return self._inner.size(key)

    def local_path(self, key: str) -> Path | None:
        return self._inner.local_path(key)

    def clean(self, prefix: str = "") -> int:
        return self._inner.clean(prefix)

    def write(self, key: str, data: Buffer) -> None:
        self._dies("before")
        self._inner.write(key, data)
        self._dies("after")

    def stream(self, key: str, chunks: Iterable[Buffer]) -> None:
        self._dies("before")
        self._inner.stream(key, chunks)
        self._dies("after")

    def create(self, key: str, data: Buffer) -> None:
        self._dies("before")
        self._inner.create(key, data)
        self._dies("after")

    def delete(self, key: str) -> None:
        self._dies("before")
        self._inner.delete(key)
        self._dies("after")

    def delete_prefix(self, prefix: str) -> None:
        """Object by object, in the worst order, so that a death can fall between two."""
        for entry in reversed(list(self._inner.list(prefix))):
            self.delete(entry.key)
        self._inner.delete_prefix(prefix)

    def _dies(self, moment: str) -> None:
        if moment == self._moment:
            self._clock[0] -= 1
        if moment == self._moment and self._clock[0] < 0:
            for mourn in self.mourners:
                mourn()
            raise Killed


def state_of(step: int) -> dict[str, torch.Tensor]:
    """A state that tells its step."""
    generator = torch.Generator().manual_seed(step)
    return {
        "model/a": torch.randn(5, 3, generator=generator),
        "model/b": torch.randn(7, generator=generator).to(torch.bfloat16),
        "count": torch.tensor(step),
    }


def values_of(step: int) -> dict[str, Any]:
    return {"step": step, "rate": 0.1 * step}


def assert_is_step(loaded: Loaded | None, step: int) -> None:
    assert loaded is not None
    assert loaded.step == step
    assert loaded.values == values_of(step)
    assert loaded.tensors.keys() == state_of(step).keys()
    for name, tensor in state_of(step).items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)
