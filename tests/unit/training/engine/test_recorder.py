"""Time is that of steps, of checkpoints, or neither; each second once."""

from __future__ import annotations

from collections.abc import Mapping

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


def recorder(clock: Clock, watcher: Watcher, writer: NoMeasurements | None = None) -> Recorder:
    training = resolve(parse(job_document())).spec.training
    guards = Guards(training, 0, watcher.notice)
    return Recorder(
        writer or Slow(clock),
        [],
        watcher,
        guards,
        steps=40,
        units_per_step=12,
        unit="tokens",
        remedy="Prepare the data beforehand.",
        clock=clock,
    )


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


def waits(one: Recorder, clock: Clock, first: int, last: int, seconds: float) -> None:
    """Steps of a second each, before which so much is waited for data."""
    for step in range(first, last + 1):
        with one.waiting():
            clock.now += seconds
        steps(one, clock, step, step)


def test_waiting_for_data_is_a_share_of_the_time_in_steps() -> None:
    clock, watcher = Clock(), Watcher()
    one = recorder(clock, watcher, NoMeasurements())
    one.begin(0)
    waits(one, clock, 1, 10, 0.25)
    assert (one.seconds, one.waited) == (12.5, 2.5)
    assert watcher.progress[-1].data_wait == pytest.approx(0.2)
    steps(one, clock, 11, 20)
    assert one.waited == 2.5
    # Over the newest hundred steps, as the throughput is.
    assert watcher.progress[-1].data_wait == pytest.approx(2.5 / 22.5)


def test_each_step_is_recorded_with_its_intervals_share() -> None:
    clock, rows = Clock(), []

    class Rows(NoMeasurements):
        def append(self, kind: str, step: int, values: Mapping[str, float]) -> None:
            rows.append(values["data_wait_ratio"])

    one = recorder(clock, Watcher(), Rows())
    one.begin(0)
    waits(one, clock, 1, 10, 1.0)
    steps(one, clock, 11, 20)
    assert rows == [0.5] * 10 + [0.0] * 10


@pytest.mark.parametrize(("seconds", "advised"), [(0.05, 0), (0.2, 1)])
def test_long_waiting_is_advised_on_once(seconds: float, advised: int) -> None:
    clock, watcher = Clock(), Watcher()
    one = recorder(clock, watcher, NoMeasurements())
    one.begin(0)
    waits(one, clock, 1, 60, seconds)
    advice = [said for said in watcher.notices if "waited for data" in said]
    assert len(advice) == advised
    if advised:
        assert advice[0].startswith("training waited for data in 17% of the last 12 s. Prepare the data")


def test_the_first_samples_are_waited_for_without_a_word() -> None:
    clock, watcher = Clock(), Watcher()
    one = recorder(clock, watcher, NoMeasurements())
    one.begin(0)
    waits(one, clock, 1, 1, 500.0)
    steps(one, clock, 2, 60)
    assert not watcher.notices
