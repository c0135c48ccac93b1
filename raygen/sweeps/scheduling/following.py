"""What is new in a history to one who has looked at it before."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from raygen.sweeps.history import WARM_START, History, Trial


class Follower:
    """Goes through a history as it grows, so that a decision costs as much as what has happened since the one before."""

    def __init__(self) -> None:
        self._seen = 0

    def changed(self, history: History) -> list[Trial]:
        """The trials that may be other than at the last call, without those that an earlier sweep has trained."""
        numbers = dict.fromkeys(history.touched[self._seen :])
        self._seen = len(history.touched)
        trials = (history.trials[number] for number in numbers)
        return [trial for trial in trials if trial.source != WARM_START]


class Queue:
    """Numbers of trials, the lowest first, without those that have lost their place."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._held: set[int] = set()

    def add(self, number: int) -> None:
        """Takes one in; it may be there already."""
        if number not in self._held:
            self._held.add(number)
            heapq.heappush(self._numbers, number)

    def first(self, belongs: Callable[[int], bool]) -> int | None:
        """The lowest one that belongs here still; those below it are dropped."""
        while self._numbers and not belongs(self._numbers[0]):
            self._held.discard(heapq.heappop(self._numbers))
        return self._numbers[0] if self._numbers else None
