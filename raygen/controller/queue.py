"""Keys that wait to be reconciled: each once, however often it changed, and never two at a time."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple


class Key(NamedTuple):
    """An object that is reconciled. Objects of different kinds may have the same namespace and name.

    Attributes:
        kind: Its kind, as objects have it.
        namespace: Its namespace; "" for what is in none.
        name: Its name.
    """

    kind: str
    namespace: str
    name: str

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name: how a store, which is of one kind, finds it."""
        return self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


FIRST_SECONDS, LONGEST_SECONDS = 0.5, 300.0


class Urgency(IntEnum):
    """What a key waits for, the most urgent first."""

    NEW = 0
    """An object for which nothing was made yet."""
    CHANGED = 1
    UNTOLD = 2
    """An object for which something was made, and whose status has yet to say so."""
    AGAIN = 3
    """An object that is looked at once more without a change."""


PATIENCE_SECONDS = {Urgency.NEW: 5.0, Urgency.CHANGED: 5.0, Urgency.UNTOLD: 30.0, Urgency.AGAIN: 5.0}
"""After which a key takes turns with more urgent ones, of which there may always be some. What is untold can wait for longest:
pods start without it, and a burst of new objects that is told of at once takes twice as long."""


class WorkQueue:
    """A deduplicating queue. A key that is added while it is being worked on comes again afterwards.

    The more urgent go first; whatever has waited for long gets every second turn.

    Args:
        clock: Seconds that only grow.
        jitter: Draws from [0, 1), so that what failed together is not tried again together.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock, self._jitter = clock, jitter
        self._changed = threading.Condition()
        self._ready: dict[Urgency, OrderedDict[Key, float]] = {urgency: OrderedDict() for urgency in Urgency}
        self._working: dict[Key, float] = {}
        self._again: dict[Key, Urgency] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._numbers = itertools.count()
        self._closed = self._patient = False
        self._moved = clock()

    def add(self, key: Key, urgency: Urgency = Urgency.CHANGED) -> None:
        """Has a key worked on soon."""
        with self._changed:
            self._add(key, urgency)
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
                if (waiting := self._line()) is not None:
                    key, _ = waiting.popitem(last=False)
                    self._moved = self._working[key] = self._clock()
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
            self._moved = self._clock()
            if key in self._again:
                self._add(key, self._again.pop(key))
                self._changed.notify()

    def close(self) -> None:
        """Ends all `take`, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def waits(self, urgency: Urgency) -> bool:
        """Whether a key as urgent as this is due."""
        with self._changed:
            return bool(self._ready[urgency])

    @property
    def depth(self) -> int:
        """Number of keys that are due."""
        with self._changed:
            self._promote()
            return sum(map(len, self._ready.values())) + len(self._again)

    @property
    def age(self) -> float:
        """How long the oldest key has been due or worked on, in seconds; 0 if there is none."""
        with self._changed:
            self._promote()
            starts = [*self._working.values(), *map(_oldest, filter(None, self._ready.values()))]
            return self._clock() - min(starts) if starts else 0.0

    @property
    def stillness(self) -> float:
        """How long nothing has moved that should, in seconds: a key has been worked on, or keys are due and none is done.

        Unlike `age` it stays small while workers get through a long line.
        """
        with self._changed:
            self._promote()
            starts = list(self._working.values())
            if waiting := [_oldest(line) for line in self._ready.values() if line]:
                starts.append(max(self._moved, min(waiting)))
            return self._clock() - min(starts) if starts else 0.0

    def _add(self, key: Key, urgency: Urgency) -> None:
        if key in self._working:
            self._again[key] = min(urgency, self._again.get(key, urgency))
            return
        for line in Urgency:
            if key in self._ready[line]:
                if line > urgency:
                    self._ready[urgency][key] = self._ready[line].pop(key)
                return
        self._ready[urgency][key] = self._clock()

    def _line(self) -> OrderedDict[Key, float] | None:
        """Where the next key is."""
        lines = [line for line in self._ready.values() if line]
        if not lines:
            return None
        self._patient = not self._patient
        now = self._clock()
        late = [
            line
            for urgency, line in self._ready.items()
            if line and now - _oldest(line) > PATIENCE_SECONDS[urgency]
        ]
        return min(late, key=_oldest) if late and self._patient else lines[0]

    def _promote(self) -> None:
        """Moves what has become due."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self._add(key, Urgency.AGAIN)

    def _next(self) -> float | None:
        return self._later[0][0] if self._later else None


def _oldest(line: OrderedDict[Key, float]) -> float:
    return next(iter(line.values()))
