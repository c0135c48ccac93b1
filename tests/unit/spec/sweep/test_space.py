"""The space of a sweep: values at places from 0 to 1, and the jobs that they make."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.spec.sweep.domains import Choice, Integer, Real
from raygen.spec.sweep.space import Space
from tests.budget import examples
from tests.sweeps import LAYERS, RATE, a_sweep

TYPE, MATRIX, DECAY = (
    "training.optimizer.type",
    "training.optimizer.matrixLearningRate",
    "training.optimizer.weightDecay",
)
units = st.floats(0, 1)


@examples(300)
@given(st.floats(1e-6, 1e3), st.floats(1.0001, 1e6), units, st.booleans())
def test_a_real_stays_within_its_bounds_and_grows(low: float, factor: float, unit: float, log: bool) -> None:
    real = Real("x", low, low * factor, log)
    assert real.at(0) == pytest.approx(low)
    assert real.at(1) == pytest.approx(low * factor)
    assert real.at(unit) in real
    assert real.at(unit / 2) <= real.at(unit)


@examples(300)
@given(st.integers(1, 50), st.integers(1, 9), st.integers(2, 40), units, st.booleans())
def test_an_integer_takes_its_steps_alone(low: int, step: int, count: int, unit: float, log: bool) -> None:
    whole = Integer("x", low, step, count, log)
    assert whole.at(unit) in whole
    assert (whole.at(0.0), whole.at(1.0)) == (low, low + (count - 1) * step)
    assert list(whole.listed) == sorted({whole.at(n / 4000) for n in range(4001)} | set(whole.listed))


def test_shares_of_a_log_integer_are_those_of_its_definition() -> None:
    whole = Integer("x", 1, 1, 10, log=True)
    drawn = Counter(whole.at((n + 0.5) / 100_000) for n in range(100_000))
    all_of_it = math.log(10.5 / 0.5)
    for value in whole.listed:
        share = math.log((value + 0.5) / (value - 0.5)) / all_of_it
        assert drawn[value] / 100_000 == pytest.approx(share, abs=2e-5)


def test_all_values_of_a_choice_are_as_likely() -> None:
    choice = Choice("x", ("a", 2, True, {"b": [1]}))
    drawn = [choice.at((n + 0.5) / 4000) for n in range(4000)]
    assert [drawn.count(one) for one in ("a", 2, {"b": [1]})] == [1000] * 3
    assert 1 not in choice


def test_values_make_the_job_that_the_same_file_would() -> None:
    space = Space(a_sweep())
    job = space.job({RATE: 0.02, LAYERS: 3}, "mine")
    assert job.metadata.name == "mine"
    assert job.spec.training.optimizer is not None
    assert job.spec.training.optimizer.learning_rate == 0.02
    assert job.spec.model.transformer is not None
    assert job.spec.model.transformer.layers == 3
    assert job.spec.training.seed == 1


def conditional(**changes: Any) -> Space:
    """A space in which a Muon has a rate of its own, and the decay follows the rate."""
    return Space(
        a_sweep(
            parameters=[
                {"path": RATE, "type": "Real", "low": 1e-3, "high": 1e-2},
                {
                    "path": MATRIX,
                    "type": "Real",
                    "low": 0.01,
                    "high": 0.03,
                    "when": {"path": TYPE, "values": ["Muon"]},
                },
                {"path": TYPE, "type": "Choice", "values": ["AdamW", "Muon"]},
                {"path": DECAY, "type": "Linked", "of": RATE, "factor": 10},
            ],
            template__spec__training__optimizer={
                "type": "Muon",
                "learningRate": 1e-3,
                "matrixLearningRate": 0.02,
            },
            **changes,
        )
    )


@examples(100)
@given(st.integers(0, 2**32))
def test_what_takes_no_part_is_left_out_of_the_job(seed: int) -> None:
    space, draw = conditional(), random.Random(seed)
    values = space.at({one.path: draw.random() for one in space.domains})
    optimizer = space.job(values, "mine").spec.training.optimizer
    assert optimizer is not None
    assert (MATRIX in values) == (values[TYPE] == "Muon")
    assert optimizer.matrix_learning_rate == values.get(MATRIX)
    assert optimizer.weight_decay == pytest.approx(10 * values[RATE])


def test_a_starting_point_has_the_template_s_values_where_it_says_none() -> None:
    space = conditional()
    assert space.completed({}) == {RATE: 1e-3, MATRIX: 0.02, TYPE: "Muon"}
    assert space.completed({TYPE: "AdamW"}) == {RATE: 1e-3, TYPE: "AdamW"}
    outside = Space(a_sweep(template__spec__training__optimizer={"type": "AdamW", "learningRate": 5}))
    assert outside.completed({})[RATE] == pytest.approx(math.sqrt(1e-4 * 1e-1))


def test_whole_blocks_and_items_of_lists_can_be_chosen_between() -> None:
    blocks = [{"type": "AdamW", "learningRate": 0.01}, {"type": "SGD", "learningRate": 0.1, "momentum": 0.9}]
    space = Space(
        a_sweep(
            parameters=[
                {"path": "training.optimizer", "type": "Choice", "values": blocks},
                {
                    "path": "evaluation.metrics[loss].type",
                    "type": "Choice",
                    "values": ["ValidationLoss", "Perplexity"],
                },
            ]
        )
    )
    job = space.job({"training.optimizer": blocks[1], "evaluation.metrics[loss].type": "Perplexity"}, "mine")
    assert job.spec.training.optimizer is not None
    assert job.spec.training.optimizer.momentum == 0.9
    assert job.spec.evaluation.metrics[0].type == "Perplexity"
    assert space.is_listed
    assert space.size == 4
