"""Where a driver and its workers leave words for one another: short texts under keys, which all of them see.

The driver has them in its memory (`Table`), workers reach them through `raygen.training.ray.wire`. It is not PyTorch's
TCPStore, since a driver that only drives need not load PyTorch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

STOP = "stop"
"""Set by the driver: why it asks to stop."""
CONTROL = "control"
"""Set by the driver: whether the run is to pause, and at which step it is to stop."""
REPORT = "report"
"""Set by rank 0: an evaluation, which the driver answers."""
STOPPING = "stopping"
"""Set by workers that have heard it, and go to leave a checkpoint."""
LEAVING = "leaving"
"""Set by a worker whose pod is about to go; deleted when Ray has noticed that it went (`ray.losses`)."""
TIMEOUT_S = 1800.0
"""How long a worker waits for another one's words: as long as for a collective operation."""


class Store(Protocol):
    """Texts by key. All methods may be called from any thread."""

    def set(self, key: str, value: str) -> None:
        """Sets a key, whether it is there or not."""

    def get(self, key: str) -> str:
        """The value of a key, once somebody has set it.

        Raises:
            TimeoutError: nobody did, for a long time.
        """

    def add(self, key: str, amount: int) -> int:
        """Adds to a number, 0 before the first time, and returns the sum."""

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all of them are set."""

    def delete_key(self, key: str) -> bool:
        """Deletes a key; whether it was there."""


class Table:
    """A store in memory.

    Args:
        timeout_s: How long `get` waits.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._values: dict[str, str] = {}
        self._timeout_s = timeout_s
        self._changed = threading.Condition()

    def set(self, key: str, value: str) -> None:
        """Sets a key."""
        with self._changed:
            self._values[key] = value
            self._changed.notify_all()

    def get(self, key: str) -> str:
        """The value of a key, once it is set; TimeoutError if that takes too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: key in self._values, self._timeout_s):
                raise TimeoutError(f"nobody has set {key} within {self._timeout_s:g} s")
            return self._values[key]

    def find(self, key: str) -> str | None:
        """The value of a key, None if it is not set."""
        with self._changed:
            return self._values.get(key)

    def add(self, key: str, amount: int) -> int:
        """Adds to a number and returns the sum."""
        with self._changed:
            total = int(self._values.get(key, "0")) + amount
            self._values[key] = str(total)
            self._changed.notify_all()
            return total

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all of them are set."""
        with self._changed:
            return all(key in self._values for key in keys)

    def delete_key(self, key: str) -> bool:
        """Deletes a key; whether it was there."""
        with self._changed:
            return self._values.pop(key, None) is not None
