"""Steers a run from outside while it trains: signals, another thread, or the receiver of its evaluations."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from raygen.errors import InputError
from raygen.spec import Evaluation

STOP_AT = "StopAt"
"""Reason of a run that came to the step at which it was to stop."""
STOPPED = "StoppedByControl"
POLL_S = 0.1
"""How often a paused run looks whether it may resume."""


class Control:
    """Stops or pauses a run. Any thread may call it; a run acts on it between two steps.

    A run that stops leaves a checkpoint, and the same job resumes there.

    Args:
        stop_at: The last step before the run stops, of all its steps so far. Default: none but the job's own.
        report: Called with the step and the metrics after each evaluation, while training waits; whatever it calls here is
            done before the next step, on any number of workers. Reports come from evaluations alone: the job's
            `evaluation.metrics` say what is measured, and its `everySteps` how often; without metrics none comes.

    Attributes:
        reason: Why the run is to stop: the name of a signal, or what `stop` was given; None while nobody has asked.
        stop_step: The step at which it stops, or None.
    """

    def __init__(
        self, *, stop_at: int | None = None, report: Callable[[int, Mapping[str, float]], None] | None = None
    ) -> None:
        self.reason: str | None = None
        self.stop_step: int | None = None
        self.stop_at(stop_at)
        self._report = report
        self._paused = False
        self._changed = threading.Condition()
        self._interrupts = False

    @property
    def requested(self) -> bool:
        """Whether somebody has asked to stop at the next step."""
        return self.reason is not None

    @property
    def paused(self) -> bool:
        """Whether the run is to wait before its next step."""
        return self._paused

    @property
    def reports(self) -> bool:
        """Whether somebody hears of evaluations."""
        return self._report is not None

    def notices(self, evaluation: Evaluation) -> list[str]:
        """What somebody who hears of evaluations should know of a job's."""
        if not self.reports or evaluation.metrics:
            return []
        return [
            (
                "spec.evaluation.metrics: names nothing to measure, so that report is never called. Add a metric, for"
                " example {name: loss, type: ValidationLoss}, and everySteps."
            )
        ]

    def stop(self, reason: str = STOPPED) -> None:
        """Asks to stop at the next step; the first reason counts."""
        # No lock: a signal handler calls this, and may have interrupted a thread that holds it.
        self.reason = self.reason or reason

    def stop_at(self, step: int | None) -> None:
        """Asks to stop after this step, or at the next one if that is later; None takes it back.

        Raises:
            InputError: it is not a whole number.
        """
        if step is not None and (not isinstance(step, int) or isinstance(step, bool) or step < 0):
            raise InputError(
                f"a run cannot stop at step {step!r}", where="stop_at", remedy="Give a whole number from 0."
            )
        self.stop_step = step

    def pause(self) -> None:
        """Asks to leave a checkpoint and wait before the next step."""
        self._paused = True

    def resume(self) -> None:
        """Ends a pause."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def wait(self) -> None:
        """Returns when the run is not paused any more, or is to stop."""
        while self.paused and not self.requested:
            with self._changed:
                self._changed.wait(POLL_S)

    def notify(self, step: int, values: Mapping[str, float]) -> None:
        """Passes an evaluation on to `report`."""
        if self._report is not None:
            self._report(step, values)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listens to SIGINT and SIGTERM. A second SIGINT interrupts at once.

        Outside the main thread, where Python takes no signals, it listens to nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def interrupt_at_once(self) -> Iterator[None]:
        """While in it, the first SIGINT interrupts too: before training there is nothing to save."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if (self.requested or self._interrupts) and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stop(signal.Signals(number).name)
