"""Records what a run measures: metrics files, trackers, and the progress that people see.

Scalars stay on the device until `READ_EVERY` steps have come together; then one copy reads them all, so
that the device never waits for the host in between.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor

from raygen.compute.idle import IdleTime
from raygen.errors import GuardError
from raygen.run.measurements import (
    DATA_WAIT,
    EVALUATION,
    PER_SECOND,
    READ_EVERY,
    TRAIN,
    MetricsWriter,
    NoMeasurements,
)
from raygen.run.waiting import ADVISED_SECONDS, ADVISED_SHARE
from raygen.training.engine.guards import Guards
from raygen.training.observers.events import EventSink, Notice, Progress
from raygen.training.observers.trackers import Tracker

WINDOW_STEPS = 100
SEGMENT_SECONDS = 10.0


class Recorder:
    """Takes a run's numbers.

    Args:
        remedy: What to do where training waits for data for long, as a sentence.

    Attributes:
        saved: Step of the newest checkpoint, or None; kept by the loop.
        loss: Newest training loss that was read, NaN before.
        seconds: Time in training steps, without evaluation, samples and checkpoints.
        waited: Of that the time that this worker waited for data, in seconds; on CUDA that its device stood still for it.
        saving: Time that training stood still for checkpoints, in seconds.
    """

    def __init__(
        self,
        writer: MetricsWriter | NoMeasurements,
        trackers: Sequence[Tracker],
        observer: EventSink,
        guards: Guards,
        *,
        steps: int,
        units_per_step: int,
        unit: str,
        remedy: str,
        clock: Callable[[], float] = time.perf_counter,
        idle: IdleTime | None = None,
    ) -> None:
        self.saved: int | None = None
        self.loss = math.nan
        self.seconds = self.waited = self.saving = 0.0
        self._writer = writer
        self._trackers = trackers
        self._observer = observer
        self._guards = guards
        self._steps = steps
        self._units = units_per_step
        self._unit = unit
        self._remedy = remedy
        self._clock = clock
        self._idle = idle or IdleTime(torch.device("cpu"), clock)
        self._pending: list[tuple[int, dict[str, Tensor], dict[str, float]]] = []
        self._window: deque[tuple[float, float]] = deque(maxlen=WINDOW_STEPS)
        self._advised_from: tuple[float, float] | None = None
        self._has_advised = False
        self._newest: dict[str, float] = {}
        self._last = 0.0
        self._segment = 0.0

    def begin(self, step: int) -> None:
        """Starts the clock; `step` steps are done already."""
        self.saved = step or None
        self._last = self._segment = self._clock()

    def step(self, step: int, scalars: dict[str, Tensor], rates: Mapping[str, float]) -> None:
        """Takes the scalars of a step, on the device, and the learning rate of every network."""
        single = len(rates) == 1
        named = {"learning_rate" if single else f"learning_rate_{n}": rate for n, rate in rates.items()}
        self._pending.append((step, scalars, named))
        if len(self._pending) >= READ_EVERY:
            self._read()

    def waiting(self) -> AbstractContextManager[None]:
        """Inside, the loop waits for data."""
        return self._idle.waiting()

    @contextmanager
    def saves(self) -> Iterator[None]:
        """Inside, the loop stands still for a checkpoint; everything measured up to it is written first.

        Raises:
            GuardError: a guard stops the run, or sends it back; then nothing inside runs.
        """
        # What still runs on the device belongs to the steps.
        self._read()
        began = self._clock()
        self.flush()
        yield
        self.saving += self._clock() - began
        self.paused()

    def paused(self) -> None:
        """What happened since the last call was no training; it does not count as time of steps."""
        self._last = self._clock()

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the metrics of the validation split."""
        self._writer.append(EVALUATION, step, dict(values))
        for tracker in self._trackers:
            tracker.log(step, {f"evaluation/{name}": value for name, value in values.items()})

    def flush(self) -> None:
        """Reads what is on the device and writes everything out.

        Raises:
            GuardError: a guard stops the run, or sends it back.
        """
        self._read()
        self._writer.flush()
        self._segment = self._clock()

    def _read(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        names = list(pending[0][1])
        table = torch.stack([torch.stack([scalars[n].float() for n in names]) for _, scalars, _ in pending])
        rows: list[list[float]] = table.tolist()
        now = self._clock()
        took, waited = now - self._last, self._idle.take()
        self.seconds += took
        self.waited += waited
        self._last = now
        per_step = took / len(pending)
        self._window.extend([(per_step, waited / len(pending))] * len(pending))
        window, window_waited = map(sum, zip(*self._window, strict=True))
        throughput = self._units * len(self._window) / window
        speed = {self._unit + PER_SECOND: self._units / per_step, DATA_WAIT: _ratio(waited, took)}
        for (step, _, rates), row in zip(pending, rows, strict=True):
            self._keep(step, dict(zip(names, row, strict=True)) | rates, speed)
        for tracker in self._trackers:
            tracker.log(pending[-1][0], {f"train/{name}": value for name, value in self._newest.items()})
        self._observer.take(
            Progress(
                step=pending[-1][0],
                steps=self._steps,
                loss=self.loss,
                throughput=throughput,
                unit=self._unit,
                seconds_left=(self._steps - pending[-1][0]) * self._units / throughput,
                checkpoint=self.saved,
                trained=self.seconds,
                waited=self.waited,
                saving=self.saving,
                data_wait=_ratio(window_waited, window),
            )
        )
        self._advise()
        if now - self._segment >= SEGMENT_SECONDS:
            self._writer.flush()
            self._segment = now

    def _advise(self) -> None:
        """Says once what to do, if training waits for data for long."""
        # From the second interval on: the first samples are waited for in any case.
        first = self._advised_from or (self.seconds, self.waited)
        took, waited = self.seconds - first[0], self.waited - first[1]
        if self._advised_from is None or took >= ADVISED_SECONDS:
            self._advised_from = (self.seconds, self.waited)
        if took >= ADVISED_SECONDS and waited > ADVISED_SHARE * took and not self._has_advised:
            self._has_advised = True
            message = (
                f"training waited for data in {waited / took:.0%} of the last {took:.0f} s. {self._remedy}"
            )
            self._observer.take(Notice(message))

    def _keep(self, step: int, values: dict[str, float], speed: Mapping[str, float]) -> None:
        self.loss = values["loss"]
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        finite |= speed
        self._writer.append(TRAIN, step, finite)
        self._newest = finite
        try:
            self._guards.step(step, values)
        except GuardError:
            # The steps that led to the trouble are the ones to look at.
            self._writer.flush()
            raise


def _ratio(waited: float, took: float) -> float:
    """Two clocks may differ by a little."""
    return min(waited / took, 1.0) if took > 0 else 0.0
