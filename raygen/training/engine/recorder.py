"""Records what a run measures: metrics files, trackers, and the progress that people see.

Scalars stay on the device until `READ_EVERY` steps have come together; then one copy reads them all, so
that the device never waits for the host in between.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from raygen.errors import GuardError
from raygen.run.measurements import EVALUATION, PER_SECOND, TRAIN, MetricsWriter, NoMeasurements
from raygen.training.engine.guards import Guards
from raygen.training.observers.events import EventSink, Progress
from raygen.training.observers.trackers import Tracker

READ_EVERY = 10
WINDOW_STEPS = 100
SEGMENT_SECONDS = 10.0


class Recorder:
    """Takes a run's numbers.

    Attributes:
        saved: Step of the newest checkpoint, or None; kept by the loop.
        loss: Newest training loss that was read, NaN before.
        seconds: Time in training steps, without evaluation, samples and checkpoints.
        waited: Of that the time that the host waited for data, in seconds.
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
        clock: Callable[[], float] = time.perf_counter,
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
        self._clock = clock
        self._pending: list[tuple[int, dict[str, Tensor], dict[str, float]]] = []
        self._window: deque[float] = deque(maxlen=WINDOW_STEPS)
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

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, the loop waits for data."""
        began = self._clock()
        yield
        self.waited += self._clock() - began

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
        per_step = (now - self._last) / len(pending)
        self.seconds += now - self._last
        self._last = now
        self._window.extend([per_step] * len(pending))
        throughput = self._units * len(self._window) / sum(self._window)
        for (step, _, rates), row in zip(pending, rows, strict=True):
            self._keep(step, dict(zip(names, row, strict=True)) | rates, self._units / per_step)
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
            )
        )
        if now - self._segment >= SEGMENT_SECONDS:
            self._writer.flush()
            self._segment = now

    def _keep(self, step: int, values: dict[str, float], throughput: float) -> None:
        self.loss = values["loss"]
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        finite[self._unit + PER_SECOND] = throughput
        self._writer.append(TRAIN, step, finite)
        self._newest = finite
        try:
            self._guards.step(step, values)
        except GuardError:
            # The steps that led to the trouble are the ones to look at.
            self._writer.flush()
            raise
