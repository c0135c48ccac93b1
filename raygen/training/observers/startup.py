"""Where the time goes between a run's call and the end of its first step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

JOB_AND_DATA = "job and data"
IMPORT_RAY = "import Ray"
START_RAY = "start Ray"
START_WORKERS = "start workers"
DATA = "data"
MODEL = "model"
FIRST_STEP = "first step"


class Startup:
    """Phases, each from the end of the one before, the first from when this was made.

    Attributes:
        seconds: Of each phase that has ended, in their order.
        then: Is called with them when the first step is done.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self.then: Callable[[Mapping[str, float]], None] = _nothing
        self._clock = clock
        self._since = clock()

    def done(self, phase: str) -> None:
        """Ends a phase, and begins the next one."""
        now = self._clock()
        self.seconds[phase] = now - self._since
        self._since = now

    def ready(self) -> None:
        """Ends the last phase: the first step is done."""
        self.done(FIRST_STEP)
        self.then(self.seconds)

    def worker_ready(self, seconds: Mapping[str, float]) -> None:
        """Ends with the phases of a worker; those of a worker that comes in place of a lost one are no start-up."""
        if FIRST_STEP not in self.seconds:
            self.seconds.update(seconds)
            self.then(self.seconds)


def _nothing(seconds: Mapping[str, float]) -> None:
    """Nobody asked."""
