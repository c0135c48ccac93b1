"""Attempts and first steps, counted once each when a status has been written."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.operator.kinds import KINDS
from raygen.operator.metrics import Metrics
from raygen.operator.trainingjob.telemetry.figures import CAUSES
from tests.unit.operator.attempts.world import World
from tests.unit.operator.scrape import samples, value


class Counted(World):
    """A world whose statuses are counted as the operator counts them."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics

    def _do(self, made: Any) -> None:
        seen = self.observed()
        super()._do(made)
        if made.status is not None:
            self._metrics.told("TrainingJob", seen.job, made.status, seen.now)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(KINDS)


@pytest.fixture
def world(metrics: Metrics) -> Counted:
    return Counted(metrics)


def test_the_first_step_of_a_job_counts_once_by_the_drivers_time(metrics: Metrics, world: Counted) -> None:
    name = "raygen_job_first_step_seconds"
    world.settle()
    world.running()
    world.settle()
    assert value(metrics.text(), f"{name}_count") == 0
    world.wait(42)
    world.running(step=10)
    world.wait(600)
    world.settle()
    assert value(metrics.text(), f"{name}_count") == 1
    assert value(metrics.text(), f"{name}_sum") == 42
    world.running(step=20)
    world.settle()
    world.over(status="FAILED", reason="AppFailed", message="exit code 1")
    world.driver_says(state="Failed", reason="RunError", exitCode=1)
    world.settle()
    world.wait(60)
    world.settle()
    world.running(2, step=30, first=21)
    world.settle()
    assert value(metrics.text(), f"{name}_count") == 1, "the second attempt's first step is not the job's"


def test_attempts_count_by_cause_when_they_have_ended(metrics: Metrics, world: Counted) -> None:
    name = "raygen_attempts_ended_total"
    assert {labels for sample, labels in samples(metrics.text()) if sample == name} == {
        frozenset({("cause", cause)}) for cause in (*CAUSES, "Other")
    }
    world.settle()
    world.running(step=10)
    world.settle()
    world.over(status="FAILED")
    world.driver_says(state="Failed", reason="RunError", exitCode=1)
    world.settle()
    world.settle()
    assert value(metrics.text(), name, cause="RunError") == 1
    world.wait(60)
    world.settle()
    world.running(2, step=100)
    world.over(2)
    world.driver_says(2)
    world.settle()
    assert value(metrics.text(), name, cause="Completed") == 1
    assert sum(found for (one, _), found in samples(metrics.text()).items() if one == name) == 2


def test_a_cause_that_nobody_knows_makes_no_label(metrics: Metrics, world: Counted) -> None:
    world.settle()
    world.over(status="FAILED")
    world.driver_says(state="Failed", reason="ErrorOfSomebodysOwn", exitCode=1)
    world.settle()
    assert value(metrics.text(), "raygen_attempts_ended_total", cause="Other") == 1
    assert b"ErrorOfSomebodysOwn" not in metrics.text()
