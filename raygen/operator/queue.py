"""Keys that wait to be reconciled: each once, however often it changed, and never two at a time."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

Key = tuple[str, str]
"""Namespace and name."""

FIRST_SECONDS, LONGEST_SECONDS = 0.5, 300.0


class WorkQueue:
    """A deduplicating queue. A key that is added while it is being worked on comes again afterwards.

    Keys of new objects and of changes go before those that are looked at once more without a change.

    Args:
        clock: Seconds that only grow.
        jitter: Draws from [0, 1), so that what failed together is not tried again together.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock, self._jitter = clock, jitter
        self._changed = threading.Condition()
        self._ready: tuple[OrderedDict[Key, float], OrderedDict[Key, float]] = (OrderedDict(), OrderedDict())
        self._working: dict[Key, float] = {}
        self._again: set[Key] = set()
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._numbers = itertools.count()
        self._closed = False

    def add(self, key: Key, *, urgent: bool = True) -> None:
        """Has a key worked on soon."""
        with self._changed:
            self._add(key, urgent=urgent)
            self._changed.notify()

    def add_after(self, key: Key, seconds: float) -> None:
        """Has a key worked on in a while; the earliest time that was asked for counts."""
        due = self._clock() + seconds
        with self._changed:
            if key not in self._due or due < self._due[key]:
                self._due[key] = due
                heapq.heappush(self._later, (due, next(self._numbers), key))
                self._changed.notify()

    def retry(self, key: Key, *, at_least: float = 0.0) -> float:
        """Has a key worked on after a pause that doubles with each failure in a row; gives the pause in seconds."""
        with self._changed:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(FIRST_SECONDS * 2.0 ** (failures - 1), LONGEST_SECONDS)
        pause = max(pause * (0.5 + 0.5 * self._jitter()), at_least)
        self.add_after(key, pause)
        return pause

    def forget(self, key: Key) -> None:
        """The key was worked on without a failure."""
        with self._changed:
            self._failures.pop(key, None)

    def take(self, timeout: float | None = None) -> Key | None:
        """The next key, which `done` must be told of; None after `timeout` seconds, or when the queue is closed."""
        end = None if timeout is None else self._clock() + timeout
        with self._changed:
            while not self._closed:
                self._promote()
                for waiting in self._ready:
                    if waiting:
                        key, _ = waiting.popitem(last=False)
                        self._working[key] = self._clock()
                        return key
                waits = [due - self._clock() for due in (self._next(), end) if due is not None]
                if end is not None and end <= self._clock():
                    return None
                self._changed.wait(max(min(waits), 0.0) if waits else None)
            return None

    def done(self, key: Key) -> None:
        """A key that `take` gave has been worked on."""
        with self._changed:
            del self._working[key]
            if key in self._again:
                self._again.remove(key)
                self._add(key, urgent=True)
                self._changed.notify()

    def close(self) -> None:
        """Ends all `take`, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """Number of keys that are due."""
        with self._changed:
            self._promote()
            return sum(map(len, self._ready)) + len(self._again)

    @property
    def age(self) -> float:
        """How long the oldest key has been due or worked on, in seconds; 0 if there is none."""
        with self._changed:
            self._promote()
            starts = [*self._working.values(), *(next(iter(w.values())) for w in self._ready if w)]
            return self._clock() - min(starts) if starts else 0.0

    def _add(self, key: Key, *, urgent: bool) -> None:
        if key in self._working:
            self._again.add(key)
            return
        first, second = self._ready
        if urgent:
            first.setdefault(key, second.pop(key, self._clock()))
        elif key not in first:
            second.setdefault(key, self._clock())

    def _promote(self) -> None:
        """Moves what has become due."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self._add(key, urgent=False)

    def _next(self) -> float | None:
        return self._later[0][0] if self._later else None
