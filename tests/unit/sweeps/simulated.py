"""A driver and its workers in virtual time: makes the events of a sweep exactly as raygen/sweeps/events.py says, and trains nothing."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygen.spec.sweep.sweep import Constraint, Objective
from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, Reported, Returned
from raygen.sweeps.history import History
from raygen.sweeps.scheduling.protocol import Decision, End, Scheduler, Train

Values = Mapping[str, Any]
LOSS = Objective(metric="loss", goal="Minimize")


@dataclass(frozen=True)
class Faults:
    """What goes wrong, as probabilities.

    Attributes:
        lost: Of a worker's loss, at each evaluation.
        failed: Of a trial's failure, at each evaluation.
        restarted: Of another driver, at each event.
    """

    lost: float = 0.0
    failed: float = 0.0
    restarted: float = 0.0


@dataclass
class Simulation:
    """A sweep.

    Args:
        scheduler: Makes a scheduler; again for each driver.
        objective: Metrics of a trial with these values after so many steps.
        propose: Values of the next trial; None: there are no others.
        steps: Length of a trial.
        every: Distance between evaluations, in steps; the last step always has one.
        trials: How many may begin.
        concurrency: How many train at a time.
        seed: Of speeds and faults.
        objectives: What trials are judged by.
        constraints: Bounds.
        faults: What goes wrong.
        decided: Called with each decision, before it is carried out, and None where there was none.

    Attributes:
        events: All of them.
        history: What is known after them.
        trained: Steps that were trained, all together, again after a loss included.
    """

    scheduler: Callable[[], Scheduler]
    objective: Callable[[Values, int], Mapping[str, float]]
    propose: Callable[[History], Values | None]
    steps: int
    every: int
    trials: int
    concurrency: int = 1
    seed: int = 0
    objectives: Sequence[Objective] = (LOSS,)
    constraints: Sequence[Constraint] = ()
    faults: Faults = Faults()
    decided: Callable[[Simulation, Decision | None, bool], None] | None = None
    events: list[Event] = field(default_factory=list)
    trained: int = 0

    def __post_init__(self) -> None:
        self.history = History(self.objectives, self.constraints)
        self._random = random.Random(self.seed)
        self._now = 0.0
        self._drivers = 0
        # What happens next: time, order, trial, step; of a trial that has left nothing happens any more.
        self._coming: list[tuple[float, int, int, int]] = []
        self._order = 0
        self._speeds: dict[int, float] = {}
        self._scheduler = self.scheduler()

    def run(self) -> Simulation:
        """Drives it to its end."""
        self._begin()
        while True:
            self._fill()
            if not self._coming:
                return self
            self._happen()
            if self._random.random() < self.faults.restarted:
                self._begin()

    def take(self, event: Event) -> None:
        """Something happens."""
        self.events.append(event)
        self.history.take(event)

    def _begin(self) -> None:
        self._drivers += 1
        self._coming = []
        self.take(Began(self._drivers, len(self.events), 1, {} if self._drivers == 1 else None, self._now))
        self._scheduler = self.scheduler()

    def _fill(self) -> None:
        exhausted = False
        while self.history.running < self.concurrency:
            may_begin = len(self.history.trials) < self.trials and not exhausted
            decision = self._scheduler.decide(self.history, may_begin=may_begin)
            if self.decided is not None:
                self.decided(self, decision, may_begin)
            if decision is None:
                return
            if isinstance(decision, End):
                self.take(Ended(decision.trial, "Stopped", decision.reason, decision.message, self._now))
                continue
            number = decision.trial
            if number is None:
                values = self.propose(self.history)
                if values is None:
                    exhausted = True
                    continue
                number = len(self.history.trials)
                self.take(Proposed(number, dict(values), "Random", self._now))
            self._lease(number, decision)

    def _lease(self, number: int, decision: Train) -> None:
        self.take(Leased(number, decision.until, self._now))
        speed = self._speeds.setdefault(number, 0.5 + self._random.random())
        until = self.steps if decision.until is None else decision.until
        step, time = self.history.trials[number].step, self._now
        stops = [one for one in self._evaluations() if step < one <= until]
        for stop in stops or [until]:
            time += max(stop - step, 0) * speed
            step = stop
            self._order += 1
            heapq.heappush(self._coming, (time, self._order, number, stop))

    def _evaluations(self) -> Iterator[int]:
        yield from range(self.every, self.steps, self.every)
        yield self.steps

    def _happen(self) -> None:
        self._now, _, number, step = heapq.heappop(self._coming)
        trial = self.history.trials[number]
        before = trial.step
        if self._random.random() < self.faults.lost:
            done = self._random.randint(before, step - 1) if step > before else before
            self.trained += step - before
            self._leave(number)
            self.take(Returned(number, done, "WorkerLost", self._now))
            return
        if self._random.random() < self.faults.failed:
            self._leave(number)
            self.take(Ended(number, "Failed", "NonFiniteMetric", "loss is NaN", self._now))
            return
        self.trained += max(step - before, 0)
        if step not in trial.reports:
            self.take(Reported(number, step, dict(self.objective(trial.values, step)), self._now))
        if step == self.steps and trial.until is None:
            self.take(Ended(number, "Completed", "Duration", "", self._now))
        elif step == trial.until:
            self.take(Returned(number, step, "Decision", self._now))

    def _leave(self, number: int) -> None:
        self._coming = [one for one in self._coming if one[2] != number]
        heapq.heapify(self._coming)
