"""Tells of work on data that takes long, so that a start which takes minutes is not silent."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_S = 10.0
"""Work that takes less is not told of."""
AGAIN_S = 60.0
"""Time between two notices."""

Notice = Callable[[str], None]


class Progress:
    """Passes on a notice now and then.

    Args:
        notice: Takes a sentence. Default: nobody listens.
        clock: Seconds, for tests.
    """

    def __init__(self, notice: Notice | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._notice = notice
        self._clock = clock
        self._due = clock() + FIRST_S

    @property
    def seconds_left(self) -> float:
        """Until the next notice is due."""
        return max(self._due - self._clock(), 0.0)

    def say(self, sentence: str) -> None:
        """Passes on a sentence at once."""
        if self._notice is not None:
            self._notice(sentence)

    def at(self, doing: str, done: int, total: int) -> None:
        """Says how far the work is, if a notice is due.

        Args:
            doing: What is done, such as `decoding images`.
            done: Parts of it that are done.
            total: All parts.
        """
        if self._notice is None or self._clock() < self._due:
            return
        self._due = self._clock() + AGAIN_S
        self._notice(f"{doing}: {done:,} of {total:,}")
