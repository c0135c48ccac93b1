"""Starting points, grids, and spaces that can be listed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from raygen.spec.sweep.domains import Values
from raygen.sweeps.events import Ended
from raygen.sweeps.search.lattice import Lattice, Untried
from raygen.sweeps.search.protocol import STARTING_POINT
from tests.sweeps import LAYERS, RATE
from tests.unit.sweeps.search.histories import (
    BETAS,
    DECAY,
    HIDDEN_SIZE,
    LEARNING_RATE,
    MATRIX,
    MIXED,
    NUMBER_OF_LAYERS,
    OPTIMIZER,
    REALS,
    TYPE,
    Course,
    sweep_of,
)

KINDS = ["Grid", "Random", "Sobol", "TPE", "CMAES", "NSGAII"]
SETTINGS: dict[str, dict[str, Any]] = {
    "TPE": {"initial_trials": 3},
    "GaussianProcess": {"initial_trials": 3},
    "CMAES": {"initial_trials": 3},
    "NSGAII": {"population": 4},
}
MOMENTUM = {
    "path": BETAS,
    "type": "Choice",
    "values": [[0.9, 0.95], [0.9, 0.99]],
    "when": {"path": TYPE, "values": ["AdamW"]},
}
LISTED = [MOMENTUM, OPTIMIZER, NUMBER_OF_LAYERS]
"""2 x 4 points of AdamW and 4 of Muon."""


def measure(values: Values) -> dict[str, float]:
    rate, layers = values.get(RATE, 1e-2), values.get(LAYERS, 2)
    return {"loss": abs(rate - 1e-2) + abs(layers - 3), "other": layers, "size": 0.0}


def keys(proposals: list[Any]) -> list[str]:
    return [json.dumps(one.values, sort_keys=True) for one in proposals]


@pytest.mark.parametrize("kind", [*KINDS, "GaussianProcess"])
def test_starting_points_come_first_in_their_order(kind: str) -> None:
    points = [{RATE: 1e-3}, {RATE: 5e-2, LAYERS: 1}, {RATE: 1e-3}]
    course = Course(
        sweep_of(kind, [LEARNING_RATE, NUMBER_OF_LAYERS], startingPoints=[{"values": one} for one in points])
    )
    # What is not given is the template's; the third is the first again.
    proposals = course.run(4, measure, concurrency=3)
    assert [one.source for one in proposals] == [STARTING_POINT, STARTING_POINT, kind, kind]
    assert [one.values for one in proposals[:2]] == [{RATE: 1e-3, LAYERS: 2}, {RATE: 5e-2, LAYERS: 1}]


@pytest.mark.parametrize("concurrency", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_space_that_can_be_listed_is_tried_whole_and_no_point_twice(kind: str, concurrency: int) -> None:
    course = Course(
        sweep_of(kind, LISTED, startingPoints=[{"values": {TYPE: "Muon"}}], **SETTINGS.get(kind, {}))
    )
    proposals = course.run(100, measure, concurrency)
    assert len(proposals) == len(set(keys(proposals))) == 12
    assert course.propose() is None


def test_a_gaussian_process_tries_a_small_space_whole() -> None:
    course = Course(sweep_of("GaussianProcess", [NUMBER_OF_LAYERS], initial_trials=2))
    assert sorted(one.values[LAYERS] for one in course.run(9, measure)) == [1, 2, 3, 4]


def test_a_failed_trial_is_not_tried_again() -> None:
    course = Course(sweep_of("TPE", [NUMBER_OF_LAYERS], initial_trials=1))
    tried = []
    while (proposal := course.propose()) is not None:
        tried.append(proposal.values[LAYERS])
        course.take(Ended(course.begin(proposal), "Failed", "OutOfMemory", "", 0.0))
    assert sorted(tried) == [1, 2, 3, 4]


def test_a_grid_varies_the_last_parameter_fastest() -> None:
    parameters = [{"path": DECAY, "type": "Real", "low": 0, "high": 1, "points": 3}, NUMBER_OF_LAYERS]
    proposals = Course(sweep_of("Grid", parameters)).run(100, measure)
    assert [tuple(one.values.values()) for one in proposals] == [
        (decay, layers) for decay in (0, 0.5, 1) for layers in (1, 2, 3, 4)
    ]


def test_a_grid_has_each_point_once_whatever_conditions_leave_out() -> None:
    proposals = Course(sweep_of("Grid", MIXED[:4])).run(1000, measure)
    # Five learning rates and four numbers of layers, with Muon five rates of matrices.
    assert len(proposals) == len(set(keys(proposals))) == 5 * 4 * (1 + 5)
    assert {MATRIX in one.values for one in proposals if one.values[TYPE] == "AdamW"} == {False}


def test_a_grid_leaves_out_what_a_starting_point_was() -> None:
    course = Course(sweep_of("Grid", [NUMBER_OF_LAYERS], startingPoints=[{"values": {LAYERS: 2}}]))
    assert [one.values[LAYERS] for one in course.run(9, measure)] == [2, 1, 3, 4]


def test_a_grid_goes_on_where_its_space_has_grown() -> None:
    before = Course(sweep_of("Grid", [NUMBER_OF_LAYERS]))
    before.run(4, measure)
    after = Course(sweep_of("Grid", [{**NUMBER_OF_LAYERS, "high": 6}]))
    for event in before.events:
        after.take(event)
    assert [one.values[LAYERS] for one in after.run(9, measure)] == [5, 6]


def test_a_space_too_large_for_a_list_has_another_point_all_the_same() -> None:
    lattice = Lattice(
        Course(sweep_of("Random", [MOMENTUM, {**HIDDEN_SIZE, "high": 1_000_000}, OPTIMIZER])).space
    )
    untried = Untried(lattice)
    assert untried.are_many
    point = lattice.values(lattice.size - 2)
    untried.remove(point)
    assert point not in untried
    # The last point has a value of betas, which Muon leaves out: the first of all is next.
    assert not lattice.is_first(lattice.size - 1)
    assert untried.after(point) == lattice.values(0)


def test_sobol_points_depend_on_their_own_number_alone() -> None:
    changes: dict[str, Any] = {"startingPoints": [{"values": {}}], "seed": 3}
    alone = Course(sweep_of("Sobol", REALS, **changes)).run(33, measure)
    many = Course(sweep_of("Sobol", REALS, **changes)).run(33, measure, concurrency=16)
    assert alone == many
    # 32 points of two dimensions, each half of each range has half of them, to the power of two.
    halves = [sorted(int(one.values[DECAY] * 32) for one in alone[1:])]
    assert halves == [list(range(32))]
    assert (
        Course(sweep_of("Sobol", REALS, seed=4)).propose()
        != Course(sweep_of("Sobol", REALS, seed=5)).propose()
    )


def test_draws_are_uniform_where_the_scale_says_so() -> None:
    proposals = Course(sweep_of("Random", REALS)).run(400, measure)
    decays = sorted(one.values[DECAY] for one in proposals)
    assert max(abs(decay - (place + 0.5) / 400) for place, decay in enumerate(decays)) < 0.08
    assert 0.25 < sum(one.values[RATE] < 1e-3 for one in proposals) / 400 < 0.42


def test_no_library_is_loaded_before_a_search_wants_it() -> None:
    code = (
        "import sys, raygen.sweeps.search.opening;"
        "print([one for one in ('optuna', 'scipy', 'cmaes', 'torch', 'numpy') if one in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
