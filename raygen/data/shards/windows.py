"""Loads the windows of an order, the next one ahead of its use, so that memory holds two of them whatever the data's size."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from raygen.data.shards.order import Window, WindowOrder

Loaded = TypeVar("Loaded")
_Key = tuple[int, int]
"""Epoch of a window, and its number."""


class Windows(Generic[Loaded]):
    """The windows of an order, loaded.

    Args:
        order: Their order.
        load: Brings one into memory; called on a thread of its own.
    """

    def __init__(self, order: WindowOrder, load: Callable[[Window], Loaded]) -> None:
        self._order = order
        self._load = load
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="window")
        self._current: tuple[_Key, Loaded] | None = None
        self._ahead: tuple[_Key, Future[Loaded]] | None = None

    def expect(self, epoch: int, number: int) -> None:
        """Begins to load the window that will be asked for first; another one can be asked for, and comes later then."""
        key = (epoch, number)
        self._ahead = key, self._thread.submit(self._loaded, key)

    def get(self, window: Window) -> Loaded:
        """A window, and begins to load the one after it.

        Raises:
            Exception: whatever loading it raised.
        """
        key = (window.epoch, window.number)
        if self._current is not None and self._current[0] == key:
            return self._current[1]
        # Let go of before the next is waited for, so that no third one is in memory.
        self._current = None
        if self._ahead is not None and self._ahead[0] == key:
            loaded = self._ahead[1].result()
        else:
            loaded = self._thread.submit(self._loaded, key).result()
        self._current = key, loaded
        after = self._order.after(*key)
        self._ahead = after, self._thread.submit(self._loaded, after)
        return loaded

    def _loaded(self, key: _Key) -> Loaded:
        return self._load(self._order.window(*key))

    def close(self) -> None:
        """Ends the thread, after the window that it loads."""
        self._thread.shutdown(cancel_futures=True)
