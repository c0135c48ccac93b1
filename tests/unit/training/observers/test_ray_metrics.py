"""What a driver gives to Ray's metrics; that it arrives is in tests/integration/test_workers.py."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest

from raygen.training.observers.events import Progress, Started, WorkersLost
from raygen.training.observers.ray_metrics import COUNTERS, GAUGES, TAGS, RayFigures

PLAN = Started(run="runs/a", attempt=1, parameters=7, device="cpu", first_step=1, steps=100)
PROGRESS = Progress(
    step=10,
    steps=100,
    loss=2.5,
    throughput=300.0,
    unit="tokens",
    seconds_left=9.0,
    checkpoint=None,
    trained=6.0,
    waited=1.5,
    saving=0.5,
    goodput=0.6,
)


class Ray:
    """Takes metrics as ray.util.metrics does."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.Gauge = self.Counter = self._made

    def _made(self, name: str, description: str, tag_keys: tuple[str, ...]) -> Any:
        assert description.endswith(".")
        assert tag_keys == TAGS

        def tagged(tags: dict[str, str]) -> Any:
            self.tags[name] = tags
            return SimpleNamespace(
                set=lambda value: self.values.__setitem__(name, value),
                inc=lambda value: self.values.__setitem__(name, self.values.get(name, 0.0) + value),
            )

        return SimpleNamespace(set_default_tags=tagged)


@pytest.fixture
def ray() -> Ray:
    return Ray()


def figures(ray: Any, notices: list[str] | None = None) -> RayFigures:
    told = [] if notices is None else notices
    return RayFigures("tiny", "a-run", told.append, ray)


def test_the_newest_numbers_of_a_run(ray: Ray) -> None:
    given = figures(ray)
    given.started(PLAN)
    given.progressed(PROGRESS)
    given.checkpoint_started(10)
    given.guard_triggered("LossSpike")
    assert ray.values == {
        "raygen_train_step": 10,
        "raygen_train_last_step": 100,
        "raygen_train_loss": 2.5,
        "raygen_train_units_per_second": 300.0,
        "raygen_train_goodput_ratio": 0.6,
        "raygen_train_step_seconds": 6.0,
        "raygen_train_data_wait_seconds": 1.5,
        "raygen_train_checkpoint_seconds": 0.5,
        "raygen_train_checkpoints": 1,
        "raygen_train_guard_events": 1,
    }
    assert ray.values.keys() == GAUGES.keys() | COUNTERS.keys() == ray.tags.keys()
    assert all(tags == {"training_job": "tiny", "run": "a-run"} for tags in ray.tags.values())


def test_counters_only_grow_when_workers_begin_anew(ray: Ray) -> None:
    given = figures(ray)
    given.progressed(PROGRESS)
    given.progressed(dataclasses.replace(PROGRESS, trained=9.0))
    assert ray.values["raygen_train_step_seconds"] == 9.0
    given.started(PLAN)
    given.progressed(dataclasses.replace(PROGRESS, trained=2.0))
    assert ray.values["raygen_train_step_seconds"] == 11.0


def test_nothing_is_trained_while_workers_are_replaced(ray: Ray) -> None:
    given = figures(ray)
    given.progressed(PROGRESS)
    given.workers_lost(WorkersLost("the processes of these workers ended: 1", drained=False))
    assert ray.values["raygen_train_units_per_second"] == 0.0
    assert ray.values["raygen_train_step"] == 10


def test_a_loss_that_is_no_number_is_left_out(ray: Ray) -> None:
    given = figures(ray)
    given.progressed(PROGRESS)
    given.progressed(dataclasses.replace(PROGRESS, loss=math.nan))
    assert ray.values["raygen_train_loss"] == 2.5


def test_a_ray_that_takes_nothing_is_told_of_once() -> None:
    def fail(*arguments: Any) -> Any:
        raise ValueError("no metrics here")

    notices: list[str] = []
    given = figures(SimpleNamespace(Gauge=fail, Counter=fail), notices)
    given.started(PLAN)
    given.progressed(PROGRESS)
    given.guard_triggered("LossSpike")
    assert notices == ["Ray's metrics do not get the run's numbers; training goes on: no metrics here"]
