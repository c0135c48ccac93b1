"""From shards to windows: a shard is fetched and decoded by itself, wherever that is done, and windows are put together from such pieces.

So who reads ahead (threads of this process, or workers of Ray Data in `raygen.pipelines`) changes no sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa
from numpy.typing import NDArray

from raygen.data.protocol import Samples
from raygen.data.shards.index import Shard
from raygen.data.shards.order import Numbers, Window, WindowOrder
from raygen.data.shards.store import ShardStore

FETCHED_AT_ONCE = 3
"""Shards of a window that are fetched at a time in this process."""

Piece = tuple[NDArray[Any], ...]
"""What a shard holds: arrays of numbers, whose meaning those know who put a window together from them."""


class Decoder(Protocol):
    """Makes arrays of a shard's rows. It can be pickled."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What it needs of a shard."""

    def __call__(self, table: pa.Table) -> Piece:
        """The arrays, for another process."""

    def held(self, table: pa.Table) -> Piece:
        """The arrays, for the process that takes samples of them: what is decoded sample by sample may be left as it is."""

    def size(self, shard: Shard) -> int:
        """How large they are, about, in bytes."""


@dataclass(frozen=True)
class Fetch:
    """Brings a shard into memory, in whatever process: it can be pickled.

    Attributes:
        store: Where shards are.
        decoder: Makes arrays of them.
    """

    store: ShardStore
    decoder: Decoder

    def __call__(self, shard: Shard) -> Piece:
        """What a shard holds.

        Raises:
            DataError: it is missing or was changed, or its place cannot be reached.
        """
        return self.decoder(self.store.table(shard, self.decoder.columns))

    def held(self, shard: Shard) -> Piece:
        """What a shard holds, for a window in this process.

        Raises:
            DataError: it is missing or was changed, or its place cannot be reached.
        """
        return self.decoder.held(self.store.table(shard, self.decoder.columns))


class LoadedWindow(Protocol):
    """The samples of a window, in memory."""

    def take(self, chosen: Numbers) -> Samples:
        """Some of them, by number."""


Loaded = TypeVar("Loaded", bound=LoadedWindow, covariant=True)


class Shards(ABC, Generic[Loaded]):
    """The shards of one split, or of one part of it.

    Args:
        listed: Which.
        fetch: Brings one into memory.
    """

    def __init__(self, listed: Sequence[Shard], fetch: Fetch) -> None:
        self.listed = listed
        self.fetch = fetch

    @property
    @abstractmethod
    def counts(self) -> list[int]:
        """Samples of each shard."""

    @abstractmethod
    def assembled(self, window: Window, pieces: Iterator[Piece]) -> Loaded:
        """A window, from what its shards hold, in the order in which they stand in it."""

    @abstractmethod
    def in_order(self, size: int) -> Iterator[Samples]:
        """All of it as the index lists it, `size` samples at a time, the last ones fewer."""


class Pieces(Protocol):
    """Reads the shards of windows. Windows that follow each other are read ahead; any other can be asked for."""

    def of(self, window: Window) -> Iterator[Piece]:
        """What the shards of a window hold, in the order in which they stand in it.

        Raises:
            DataError: a shard is missing or was changed, or its place cannot be reached.
            RunError: those who read were lost.
        """

    def close(self) -> None:
        """Ends what reads, and whoever waits for it."""


OpenPieces = Callable[[WindowOrder, Sequence[Shard], Fetch], Pieces]
"""Opens a reader of shards that are dealt in an order."""


class ThreadedPieces:
    """Reads on threads of this process.

    Args:
        order: Of the windows.
        listed: The shards.
        fetch: Brings one into memory.
    """

    def __init__(self, order: WindowOrder, listed: Sequence[Shard], fetch: Fetch) -> None:  # noqa: ARG002
        self._listed = listed
        self._fetch = fetch
        self._threads = ThreadPoolExecutor(FETCHED_AT_ONCE, thread_name_prefix="shard")

    def of(self, window: Window) -> Iterator[Piece]:
        """What the shards of a window hold."""
        # Not `map`, which would have all of them in memory beside the window that is put together from them.
        waiting = deque[Future[Piece]]()
        for number in window.shards:
            if len(waiting) == FETCHED_AT_ONCE:
                yield waiting.popleft().result()
            waiting.append(self._threads.submit(self._fetch.held, self._listed[number]))
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(cancel_futures=True)
