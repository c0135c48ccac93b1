"""How much parameters matter."""

from __future__ import annotations

import random
from pathlib import Path

from raygen.sweeps.report.gather import gather
from raygen.sweeps.report.importance import LEAST_TRIALS, importance_of
from raygen.sweeps.report.view import View
from tests.sweeps import LAYERS, RATE
from tests.unit.sweeps.report.logs import (
    DECAY,
    MATRIX_RATE,
    OPTIMIZER,
    drawn_trial,
    the_sweep,
    trial,
    written,
)


def test_what_matters_is_told_apart_from_what_does_not(tmp_path: Path) -> None:
    draw = random.Random(3)
    events = [event for number in range(120) for event in drawn_trial(number, draw)]
    (found,), why = importance_of(View(written(tmp_path / "rates", the_sweep(), events)))
    assert (found.objective, found.trials, why) == ("loss", 120, "")
    weights = {one.title: one for one in found.weights}
    assert weights.keys() == {RATE, LAYERS, OPTIMIZER, MATRIX_RATE, DECAY}
    assert abs(sum(one.share for one in found.weights) - 1) < 1e-9
    assert (found.weights[0].title, found.weights[0].told_apart) == (RATE, True)
    assert weights[RATE].share > 0.6
    assert not weights[DECAY].told_apart
    assert not weights[LAYERS].told_apart


def test_of_objectives_that_say_nothing_no_parameter_is_told_apart(tmp_path: Path) -> None:
    draw = random.Random(5)
    events = []
    for number in range(60):
        values = {
            RATE: 10 ** draw.uniform(-4, -1),
            LAYERS: draw.randint(1, 8),
            OPTIMIZER: "AdamW",
            DECAY: 0.1,
        }
        events += trial(number, values, {20: {"loss": draw.random(), "size": 1.0}})
    (found,), _ = importance_of(View(written(tmp_path / "rates", the_sweep(), events)))
    assert sum(one.told_apart for one in found.weights) == 0


def test_with_too_few_trials_it_says_so(tmp_path: Path) -> None:
    draw = random.Random(0)
    events = [event for number in range(LEAST_TRIALS - 1) for event in drawn_trial(number, draw)]
    page = gather(written(tmp_path / "rates", the_sweep(), events))
    assert page.importance == []
    assert f"takes {LEAST_TRIALS} trials" in page.unimportant
    assert f"there are {LEAST_TRIALS - 1}" in page.unimportant


def test_trials_that_all_come_to_the_same_have_none(tmp_path: Path) -> None:
    draw = random.Random(0)
    events = []
    for number in range(30):
        values = {RATE: 10 ** draw.uniform(-4, -1), LAYERS: 2, OPTIMIZER: "AdamW", DECAY: 0.1}
        events += trial(number, values, {20: {"loss": 1.0, "size": 1.0}})
    assert importance_of(View(written(tmp_path / "rates", the_sweep(), events))) == (
        [],
        "All trials have come to the same value.",
    )


def test_what_a_scheduler_has_stopped_counts_as_worse(tmp_path: Path) -> None:
    """Those that went on all have good rates: among them alone the rate would not matter."""
    draw = random.Random(2)
    events = []
    for number in range(90):
        rate = 10 ** draw.uniform(-4, -1)
        values = {RATE: rate, LAYERS: draw.randint(1, 8), OPTIMIZER: "AdamW", DECAY: 0.1}
        loss = draw.random()
        if 5e-3 < rate < 2e-2:
            events += trial(number, values, {10: {"loss": 2.0, "size": 1.0}, 20: {"loss": loss, "size": 1.0}})
        else:
            reports = {10: {"loss": 3 + loss, "size": 1.0}}
            events += trial(number, values, reports, "Stopped", "WorseThanMedian")
    (found,), _ = importance_of(
        View(written(tmp_path / "rates", the_sweep(scheduler={"type": "Median"}), events))
    )
    assert (found.trials, found.weights[0].title, found.weights[0].told_apart) == (90, RATE, True)
