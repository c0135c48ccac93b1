"""Time is that of steps, of checkpoints, or neither; each second once."""

from __future__ import annotations

import pytest
import torch

from raygen.run.measurements import NoMeasurements
from raygen.spec import parse, resolve
from raygen.training.engine.guards import Guards
from raygen.training.engine.recorder import Recorder
from tests.jobs import job_document
from tests.unit.training.clock import Clock
from tests.unit.training.runs import Watcher

LOSS = {"loss": torch.tensor(1.0)}


class Slow(NoMeasurements):
    """Storage that takes two seconds for each segment of measurements."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def flush(self) -> None:
        self._clock.now += 2.0


def recorder(clock: Clock, watcher: Watcher) -> Recorder:
    training = resolve(parse(job_document())).spec.training
    guards = Guards(training, 0, watcher.notice)
    return Recorder(Slow(clock), [], watcher, guards, steps=40, units_per_step=12, unit="tokens", clock=clock)


def steps(one: Recorder, clock: Clock, first: int, last: int) -> None:
    for step in range(first, last + 1):
        clock.now += 1.0
        one.step(step, LOSS, {"model": 0.1})


def test_a_checkpoint_stands_still_and_trains_nothing() -> None:
    clock, watcher = Clock(), Watcher()
    one = recorder(clock, watcher)
    one.begin(0)
    steps(one, clock, 1, 5)
    with one.saves():
        clock.now += 48.0
    steps(one, clock, 6, 15)
    assert (one.seconds, one.saving) == (15.0, 50.0)
    progress = watcher.progress[-1]
    assert (progress.trained, progress.saving) == (15.0, 50.0)
    assert progress.throughput == pytest.approx(12.0)
    assert progress.seconds_left == pytest.approx(25.0)


def test_an_evaluation_is_neither() -> None:
    clock, watcher = Clock(), Watcher()
    one = recorder(clock, watcher)
    one.begin(0)
    steps(one, clock, 1, 5)
    one.flush()
    clock.now += 100.0
    one.paused()
    steps(one, clock, 6, 15)
    assert (one.seconds, one.saving) == (15.0, 0.0)
