"""A proposal is a function of the history, whoever is asked, and lies in the space."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.sweeps.events import Ended
from raygen.sweeps.search.opening import open_search
from raygen.sweeps.search.places import lies_in
from tests.budget import examples
from tests.unit.sweeps.search.histories import (
    CONSTRAINTS,
    MIXED,
    OBJECTIVES,
    REALS,
    Course,
    something,
    sweep_of,
)

seeds = st.integers(0, 2**32)
SPACES = (REALS, MIXED, MIXED[2:])
"""Of numbers, with conditions, and one that can be listed."""


def follow(kind: str, seed: int, proposals: int, parameters: list[dict[str, Any]], **changes: Any) -> None:
    """Asks one search all along, and at each proposal a new one and another old one."""
    draw = random.Random(seed)
    few = {
        "TPE": "initial_trials",
        "GaussianProcess": "initial_trials",
        "CMAES": "initial_trials",
        "NSGAII": "population",
    }
    if kind in few:
        changes[few[kind]] = 4
    starting = [{"values": {}}] if draw.random() < 0.5 else []
    course = Course(sweep_of(kind, parameters, seed=seed, startingPoints=starting, **changes))
    # It is asked at times only.
    seldom = open_search(course.sweep.spec, course.space)
    for _ in range(proposals):
        proposal = course.propose()
        assert proposal == course.afresh()
        if draw.random() < 0.3:
            assert proposal == course.propose()
            assert proposal == seldom.propose(course.history)
        if proposal is None:
            return
        assert lies_in(course.space, proposal.values)
        assert json.loads(json.dumps(proposal.values)) == proposal.values
        assert proposal.source in (kind, "StartingPoint")
        course.begin(proposal)
        for _ in range(draw.choice((0, 2, 4, 8))):
            something(course, draw)


@pytest.mark.parametrize("kind", ["Grid", "Random", "Sobol"])
@examples(4)
@given(seeds, st.sampled_from(SPACES))
def test_what_looks_at_no_results_is_replayed(kind: str, seed: int, parameters: list[dict[str, Any]]) -> None:
    follow(kind, seed, 40, parameters)


@pytest.mark.parametrize("kind", ["TPE", "CMAES", "NSGAII"])
@examples(3)
@given(seeds, st.sampled_from(SPACES), st.booleans())
def test_a_model_of_one_objective_is_replayed(
    kind: str, seed: int, parameters: list[dict[str, Any]], bound: bool
) -> None:
    follow(kind, seed, 30, parameters, constraints=CONSTRAINTS if bound else [])


@pytest.mark.parametrize("kind", ["TPE", "NSGAII"])
@examples(2)
@given(seeds, st.sampled_from(SPACES), st.booleans())
def test_a_model_of_two_objectives_is_replayed(
    kind: str, seed: int, parameters: list[dict[str, Any]], bound: bool
) -> None:
    follow(kind, seed, 30, parameters, objectives=OBJECTIVES, constraints=CONSTRAINTS if bound else [])


@pytest.mark.parametrize(
    ("parameters", "changes", "running"),
    [
        (REALS, {}, True),
        (MIXED, {"constraints": CONSTRAINTS}, False),
        (REALS, {"objectives": OBJECTIVES}, False),
    ],
)
def test_a_gaussian_process_is_replayed(
    parameters: list[dict[str, Any]], changes: dict[str, Any], running: bool
) -> None:
    # It takes half a second for a proposal: so it is asked for few.
    course = Course(sweep_of("GaussianProcess", parameters, initial_trials=3, **changes))
    draw = random.Random(1)
    for number in range(4 + running):
        proposal = course.propose()
        assert proposal is not None
        course.begin(proposal)
        if number == 0:
            course.take(Ended(0, "Failed", "OutOfMemory", "", 0.0))
        elif number < 4:
            course.end(number, {name: draw.gauss(0.5, 1) for name in ("loss", "other", "size")})
    proposal = course.propose()
    assert proposal is not None
    assert proposal == course.afresh()
    assert lies_in(course.space, proposal.values)
