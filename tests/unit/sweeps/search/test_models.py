"""What searches that model scores make of a history."""

from __future__ import annotations

import math
import random
from statistics import median
from typing import Any

import pytest

from raygen.spec.sweep.domains import Values
from raygen.sweeps.events import Ended, Leased, Proposed, Reported, Returned
from raygen.sweeps.search.models.observed import Observation, Observer, most_useful
from tests.sweeps import LAYERS, RATE
from tests.unit.sweeps.search.histories import (
    CONSTRAINTS,
    DECAY,
    LEARNING_RATE,
    MIXED,
    OBJECTIVES,
    REALS,
    TYPE,
    WIDTH,
    Course,
    sweep_of,
)


def bowl(values: Values) -> dict[str, float]:
    """Least at a rate of 0.01 and a decay of 0.3."""
    rate, decay = math.log10(values[RATE]) + 2, values.get(DECAY, 0.3) - 0.3
    return {"loss": rate**2 + decay**2, "other": decay, "size": values.get(DECAY, 0.0)}


def late_losses(course: Course, trials: int, concurrency: int = 1) -> list[float]:
    return [bowl(one.values)["loss"] for one in course.run(trials, bowl, concurrency)[-20:]]


@pytest.mark.parametrize("concurrency", [1, 6])
@pytest.mark.parametrize(("kind", "trials"), [("TPE", 40), ("CMAES", 60), ("NSGAII", 80)])
def test_a_model_chooses_better_points_than_draws(kind: str, trials: int, concurrency: int) -> None:
    settings: dict[str, Any] = {"population": 10} if kind == "NSGAII" else {}
    chosen = late_losses(Course(sweep_of(kind, **settings)), trials, concurrency)
    assert median(chosen) < median(late_losses(Course(sweep_of("Random")), trials))


def test_a_gaussian_process_comes_close_to_the_best_point() -> None:
    assert min(late_losses(Course(sweep_of("GaussianProcess", initial_trials=5)), 10)) < 1e-2


@pytest.mark.parametrize("kind", ["TPE", "NSGAII"])
def test_constraints_are_kept_more_often_than_by_draws(kind: str) -> None:
    # The best decay without a bound would be 0.3; at most a tenth of all draws keep this one.
    bound = [{"metric": "size", "atMost": 0.1}]
    settings: dict[str, Any] = {"population": 10} if kind == "NSGAII" else {}
    course = Course(sweep_of(kind, constraints=bound, seed=1, **settings))
    late = course.run(80, bowl)[40:]
    assert sum(one.values[DECAY] <= 0.1 for one in late) > 12


def test_two_objectives_are_both_sought() -> None:
    course = Course(sweep_of("TPE", objectives=OBJECTIVES))
    course.run(60, bowl)
    assert len(course.history.best()) >= 4


def test_failed_trials_are_left_out() -> None:
    with_failures, without = (
        Course(sweep_of("TPE", initial_trials=2)),
        Observer(Course(sweep_of("TPE")).space),
    )
    for number in range(6):
        proposal = with_failures.propose()
        assert proposal is not None
        with_failures.begin(proposal)
        if number % 2:
            with_failures.take(Reported(number, 10, {"loss": -5.0}, 0.0))
            with_failures.take(Ended(number, "Failed", "NotFinite", "", 0.0))
        else:
            with_failures.end(number, bowl(proposal.values))
    assert [one.number for one in without.read(with_failures.history).scored] == [0, 2, 4]


def rungs(course: Course, lengths: list[int]) -> None:
    """A trial for each length, which reports each ten steps a loss that says which trial and step it was."""
    for number, length in enumerate(lengths):
        course.take(Proposed(number, {RATE: 1e-3, DECAY: 0.5}, "TPE", 0.0))
        course.take(Leased(number, None, 0.0))
        for step in range(10, length + 1, 10):
            course.take(Reported(number, step, {"loss": number + step / 1000}, 0.0))


def test_scores_are_compared_after_equally_many_steps() -> None:
    course = Course(sweep_of("TPE"))
    observer = Observer(course.space)
    rungs(course, [10] * 9)
    # Nine are too few for a level: each counts with what it has.
    assert observer.read(course.history).level is None
    course = Course(sweep_of("TPE"))
    observer = Observer(course.space)
    rungs(course, [10] * 3 + [20] * 9 + [30])
    for number in (0, 1):
        course.take(Returned(number, 10, "Decision", 0.0))
    course.take(Ended(0, "Stopped", "WorseThanMedian", "", 0.0))
    observed = observer.read(course.history)
    assert observed.level == 20
    # The last one has gone further, and counts with what it had after 20 steps.
    assert [one.scores for one in observed.scored] == [(number + 0.02,) for number in range(3, 13)]
    assert [(one.number, one.scores) for one in observed.short] == [(0, (0.01,)), (1, (1.01,))]
    assert [number for number, _ in observed.pending] == [2]


def test_trials_of_different_lengths_are_compared_at_their_ends() -> None:
    course = Course(sweep_of("TPE"))
    rungs(course, [10, 30] * 5 + [40])
    for number in range(10):
        course.take(Ended(number, "Completed", "", "", 0.0))
    observed = Observer(course.space).read(course.history)
    assert [one.step for one in observed.scored] == [10, 30] * 5
    assert [number for number, _ in observed.pending] == [10]


def test_trials_from_before_the_space_was_changed_are_left_out() -> None:
    course = Course(sweep_of("TPE"))
    for number, values in enumerate(
        ({RATE: 1e-3}, {RATE: 1.0, DECAY: 0.5}, {RATE: 1e-3, DECAY: 0.5, LAYERS: 2})
    ):
        course.take(Proposed(number, values, "TPE", 0.0))
        course.end(number, {"loss": 0.0})
    course.take(Proposed(3, {RATE: 1e-3, DECAY: 0.5}, "WarmStart", 0.0))
    course.end(3, {"loss": 0.0})
    assert [one.number for one in Observer(course.space).read(course.history).scored] == [3]


@pytest.mark.parametrize("objectives", [1, 2])
def test_the_newest_and_the_best_are_kept(objectives: int) -> None:
    draw = random.Random(objectives)
    observations = [
        Observation(
            number, {}, tuple(draw.random() for _ in range(objectives)), (), 1, float(number % 7 == 0)
        )
        for number in range(200)
    ]
    kept = most_useful(observations, 60)
    assert len(kept) == 60
    assert kept == sorted(kept, key=lambda one: one.number)
    assert kept[-30:] == observations[-30:]
    whole = [one for one in observations[:170] if not one.violation]
    unbeaten = [
        one
        for one in whole
        if not any(
            other is not one and all(a <= b for a, b in zip(other.scores, one.scores, strict=True))
            for other in whole
        )
    ]
    assert all(one in kept for one in unbeaten)
    assert not any(one.violation for one in kept[:-30])
    assert most_useful(observations[:60], 60) == observations[:60]


@pytest.mark.parametrize("kind", ["TPE", "CMAES", "NSGAII"])
def test_a_choice_and_what_depends_on_it_are_learned(kind: str) -> None:
    def loss(values: Values) -> dict[str, float]:
        return {"loss": (values[TYPE] == "AdamW") + abs(math.log(values[WIDTH] / 16)) / 10}

    settings: dict[str, Any] = {"population": 10} if kind == "NSGAII" else {}
    late = Course(sweep_of(kind, MIXED, seed=2, **settings)).run(80, loss)[40:]
    assert sum(one.values[TYPE] == "Muon" for one in late) > 26


def test_scores_without_bounds_break_nothing() -> None:
    for kind in ("TPE", "CMAES", "NSGAII"):
        settings: dict[str, Any] = {"population": 3} if kind == "NSGAII" else {"initial_trials": 3}
        course = Course(sweep_of(kind, [LEARNING_RATE], constraints=CONSTRAINTS, **settings))
        extremes = iter([1e308, -1e308, 0.0, 1e308, 1e-320, 1e300, 5.0, 5.0] * 2)
        assert len(course.run(16, lambda _: {"loss": next(extremes), "size": 1e308})) == 16  # noqa: B023


def test_a_gaussian_process_survives_a_training_that_diverged() -> None:
    course = Course(sweep_of("GaussianProcess", REALS, initial_trials=4))
    losses = iter([1e308, 2.0, 1.0, 2.0, 1.5])
    assert len(course.run(5, lambda _: {"loss": next(losses)})) == 5
