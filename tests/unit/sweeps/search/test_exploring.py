"""Values that a trial explores when it goes on with another one's training."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.events import Began, Event, Leased, Proposed, Reported, Returned
from raygen.sweeps.history import History
from raygen.sweeps.scheduling.protocol import Fork
from raygen.sweeps.search.exploring import open_explorer
from tests.sweeps import RATE
from tests.unit.sweeps.moving import DROPOUT, population_sweep

DECAY = "training.optimizer.weightDecay"
CLIP = "training.gradientClipNorm"
ALL: list[dict[str, Any]] = [
    {"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"},
    {"path": DROPOUT, "type": "Real", "low": 0, "high": 0.5},
    {"path": DECAY, "type": "Integer", "low": 0, "high": 10, "step": 2},
    {"path": CLIP, "type": "Choice", "values": [0.5, 1, 2, 4]},
]
VALUES = {RATE: 1e-2, DROPOUT: 0.0, DECAY: 4, CLIP: 1}


def history_of(sweep: Sweep, *trials: tuple[dict[str, Any], list[float]], more: int = 0) -> History:
    """Trials with these values and their losses after each ten steps; then so many with the first one's values."""
    history = History(sweep.spec.objectives)
    events: list[Event] = [Began(1, 0, 1, {}, 0.0)]
    rows = [*trials, *([(trials[0][0], [])] * more)]
    for number, (values, losses) in enumerate(rows):
        events.append(Proposed(number, values, "Random", 0.0))
        events.append(Leased(number, 10, 0.0))
        events += [Reported(number, 10 * at, {"loss": loss}, 0.0) for at, loss in enumerate(losses, 1)]
        events.append(Returned(number, 10 * len(losses), "Decision", 0.0))
    for event in events:
        history.take(event)
    return history


def explored(sweep: Sweep, history: History, step: int = 10) -> dict[str, Any]:
    explorer = open_explorer(sweep.spec, Space(sweep))
    assert explorer is not None
    values = explorer.explore(history, Fork(0, step, 0, step + 10))
    again = open_explorer(sweep.spec, Space(sweep))
    assert again is not None
    assert again.explore(history, Fork(0, step, 0, step + 10)) == values
    return values


def test_a_perturbation_is_a_fifth_or_a_neighbour_or_drawn_from_the_whole_range() -> None:
    sweep = population_sweep(parameters=ALL)
    found: dict[str, Counter[float]] = {path: Counter() for path in VALUES}
    draws = 400
    for more in range(draws):
        values = explored(sweep, history_of(sweep, (VALUES, [1.0]), more=more))
        assert values != VALUES
        for domain in Space(sweep).domains:
            assert values[domain.path] in domain
            found[domain.path][round(values[domain.path], 12)] += 1
    for value in (0.8e-2, 1.2e-2):
        assert found[RATE][value] == pytest.approx(0.375 * draws, rel=0.25)
    # At 0 it can only grow, by a fifth of a tenth of its range.
    assert found[DROPOUT][0.0] == pytest.approx(0.375 * draws, rel=0.25)
    assert found[DROPOUT][0.01] == pytest.approx(0.375 * draws, rel=0.25)
    assert set(found[DECAY]) == {0, 2, 4, 6, 8, 10}
    assert set(found[CLIP]) == {0.5, 1, 2, 4}
    for path, near in ((DECAY, (2, 6)), (CLIP, (0.5, 2))):
        assert sum(found[path][one] for one in near) > 0.75 * draws


def test_values_outside_of_a_space_that_was_changed_are_drawn_again() -> None:
    sweep = population_sweep(parameters=ALL)
    values = explored(sweep, history_of(sweep, ({**VALUES, RATE: 5.0, CLIP: 3}, [1.0])))
    assert all(values[domain.path] in domain for domain in Space(sweep).domains)


def test_a_model_chooses_what_has_gained_most_lately() -> None:
    """Rates around 1e-3 gain at first, and rates around 3e-2 later."""
    sweep = population_sweep("PB2", parameters=ALL[:1])
    trials = []
    for number in range(12):
        rate = 1e-4 * 1000 ** (number / 11)
        first, later = abs(number - 4) < 2, abs(number - 9) < 2
        losses = [10.0, *(10.0 - (2.0 if first else 0.5) * at for at in (1, 2))]
        losses += [losses[-1] - (2.0 if later else 0.2) * at for at in range(1, 5)]
        trials.append(({RATE: rate}, losses))
    early = [
        explored(
            sweep, history_of(sweep, *((values, losses[:3]) for values, losses in trials), more=more), 30
        )
        for more in range(5)
    ]
    late = [explored(sweep, history_of(sweep, *trials, more=more), 70) for more in range(5)]
    assert all(3e-4 < one[RATE] < 5e-3 for one in early), early
    assert all(1e-2 < one[RATE] <= 1e-1 for one in late), late


def test_a_model_without_enough_intervals_draws() -> None:
    sweep = population_sweep("PB2", parameters=ALL)
    rates = {explored(sweep, history_of(sweep, (VALUES, [2.0, 1.0]), more=more))[RATE] for more in range(9)}
    assert len(rates) == 9


def test_other_schedulers_explore_nothing() -> None:
    sweep = population_sweep("Full")
    assert open_explorer(sweep.spec, Space(sweep)) is None
