"""The share of an attempt's time that was spent in training steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from raygen.training.observers.events import Broadcast, Event, EventSink, Progress, Started


class Goodput:
    """Counts from the attempt's claim, which is when this is made: start-up and recovery lower the share.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claimed = clock()
        self._before = self._trained = 0.0

    def begin(self) -> None:
        """The loop begins, perhaps again, after workers were lost: it counts its own time from 0."""
        self._before += self._trained
        self._trained = 0.0

    def of(self, progress: Progress) -> Progress:
        """The same progress, with the goodput up to now."""
        self._trained = progress.trained
        elapsed = max(self._clock() - self._claimed, 1e-9)
        return replace(progress, goodput=min(1.0, (self._before + self._trained) / elapsed))


class Measured(Broadcast):
    """Passes every event on to several sinks, progress with the attempt's goodput."""

    def __init__(self, goodput: Goodput, *sinks: EventSink) -> None:
        super().__init__(*sinks)
        self._goodput = goodput

    def take(self, event: Event) -> None:
        """Passes it on."""
        if isinstance(event, Started):
            self._goodput.begin()
        super().take(self._goodput.of(event) if isinstance(event, Progress) else event)
