"""Workers that train in virtual time: what the driver does with them is real, its log included."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raygen.spec.sweep.sweep import Sweep
from raygen.storage import LocalStorage, Storage
from raygen.sweeps.directory import SweepDirectory
from raygen.sweeps.driver import Driver, SweepResult
from raygen.sweeps.events import Event
from raygen.sweeps.policy import Policy
from raygen.sweeps.sweep import SilentWatcher
from raygen.sweeps.trials.protocol import Evaluated, Left, Message, TrialTask
from raygen.training.engine.control import Control
from tests.sweeps import LAYERS, RATE

Metrics = Callable[[Mapping[str, Any], int], Mapping[str, float]]


class Killed(BaseException):
    """The driver's process is gone."""


@dataclass
class _Training:
    task: TrialTask
    step: int
    until: int | None
    stopping: bool = False
    asking: bool = False


@dataclass
class VirtualWorkers:
    """Trains by calling a function, a step in a second or so.

    Args:
        count: Trials at a time.
        metrics: What a trial has come to, given its job's spec and the step.
        steps: Length of a trial.
        every: Distance between evaluations.
        seed: Of speeds, losses and checkpoints that are not kept.
        losses: Probability that a worker is lost at an evaluation.
        kill_at: The driver is killed at this message.
        pruned: Probability that an ancestor has not kept the checkpoint that a trial may begin from.
        saved: Steps of each trial's newest checkpoint; outlives its driver.
    """

    count: int
    metrics: Metrics
    steps: int = 20
    every: int = 10
    seed: int = 0
    losses: float = 0.0
    kill_at: int | None = None
    pruned: float = 0.0
    saved: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = 0.0
        self.trained = self.inherited = 0
        self.stopped = False
        self.started: list[int] = []
        self._draw = random.Random(self.seed)
        self._busy: dict[int, _Training] = {}
        self._coming: list[tuple[float, int, int]] = []
        self._count = 0

    def clock(self) -> float:
        """Seconds."""
        return self.now

    @property
    def free(self) -> int:
        """How many more may begin."""
        return self.count - len(self._busy)

    def start(self, task: TrialTask) -> None:
        """Begins where the newest checkpoint is."""
        assert self.free > 0
        assert task.trial not in self._busy, "one trial on two workers"
        self.started.append(task.trial)
        self._busy[task.trial] = _Training(task, self._checkpoint(task), task.until)
        self._soon(task.trial)

    def _checkpoint(self, task: TrialTask) -> int:
        """The step of the newest checkpoint that a trial may begin from: its own, or one of its ancestors' that is kept."""
        if task.trial in self.saved:
            return self.saved[task.trial]
        for ancestor in task.ancestors:
            number = int(ancestor.run[1:])
            reached = self._busy[number].step if number in self._busy else self.saved.get(number, 0)
            if reached >= ancestor.until and self._draw.random() >= self.pruned:
                self.inherited += ancestor.until
                return ancestor.until
        return 0

    def answer(self, trial: int, until: int | None, *, stay: bool) -> None:
        """Goes on, or leaves."""
        one = self._busy[trial]
        assert one.asking
        one.asking = False
        if stay:
            one.until = until
        else:
            one.stopping = True
        self._soon(trial)

    def stop(self, trial: int) -> None:
        """Leaves at the next evaluation."""
        one = self._busy[trial]
        one.stopping = self.stopped = True
        if one.asking:
            one.asking = False
            self._soon(trial)

    @property
    def slow(self) -> bool:
        """Whether a trial is between two evaluations."""
        return bool(self._busy)

    def wait(self, seconds: float) -> Sequence[Message]:
        """The next thing that a trial says; time goes on until then."""
        if not self._coming:
            self.now += seconds
            return []
        self.now, _, trial = heapq.heappop(self._coming)
        self._count += 1
        if self._count == self.kill_at:
            raise Killed
        return self._goes_on(self._busy[trial])

    def _goes_on(self, one: _Training) -> list[Message]:
        trial = one.task.trial
        whole, leased = one.step >= self.steps, one.until is not None and one.step >= one.until
        if one.stopping or whole or leased:
            del self._busy[trial]
            self.saved[trial] = one.step
            state = "Whole" if whole else "Stopped" if one.stopping and not leased else "Leased"
            return [Left(trial, one.step, state, "Completed" if whole else state, "")]
        if self._draw.random() < self.losses:
            del self._busy[trial]
            return [Left(trial, 0, "WorkerLost", "ActorDiedError", "its process was killed")]
        self.trained += self.every
        one.step = min(one.step + self.every, self.steps)
        asks = one.until is not None and one.step >= one.until and one.step < self.steps
        one.asking = asks
        if not asks:
            self._soon(trial)
        return [Evaluated(trial, one.step, self.metrics(one.task.job["spec"], one.step), asks)]

    def _soon(self, trial: int) -> None:
        # No two at the same time, so that their order is theirs.
        heapq.heappush(self._coming, (self.now + self._draw.uniform(5, 15), trial, trial))


def loss(spec: Mapping[str, Any], step: int) -> dict[str, float]:
    """Least for a rate of 1e-2 and two layers, and falling with the steps."""
    import math

    rate = spec["training"]["optimizer"]["learningRate"]
    layers = spec["model"]["transformer"]["layers"]
    return {"loss": (math.log10(rate) + 2) ** 2 + 0.1 * abs(layers - 2) + 10 / (step + 1)}


def drive(
    sweep: Sweep,
    storage: Storage | Path,
    workers: VirtualWorkers,
    control: Control | None = None,
    watcher: Any = None,
    known: Sequence[Event] = (),
) -> SweepResult:
    """One driver of a sweep, from its claim to its end."""
    directory = SweepDirectory(LocalStorage(storage) if isinstance(storage, Path) else storage)
    driver = directory.claim({"host": "here"})
    return Driver(
        sweep,
        Path(),
        directory,
        driver,
        directory.read(),
        Policy(sweep, 1),
        workers,
        1,
        control or Control(),
        watcher or SilentWatcher(),
        workers.clock,
        known=known,
    ).run()


__all__ = ["LAYERS", "RATE", "Killed", "VirtualWorkers", "drive", "loss"]
