"""ASHA and Hyperband."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import pytest

from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, Reported, Returned
from raygen.sweeps.history import WARM_START, History
from raygen.sweeps.scheduling.opening import open_scheduler
from raygen.sweeps.scheduling.protocol import Decision, Train
from tests.unit.sweeps.scheduling.setting import (
    decisions,
    flat,
    history_of,
    power_laws,
    short,
    simulation,
    spec_of,
)
from tests.unit.sweeps.simulated import Simulation

ASHA = {"type": "ASHA"}


def at_rest(*scores: float, length: int = 2) -> list[Event]:
    """Trials that have come to a length and wait."""
    events: list[Event] = [Began(1, 0, 1, {}, 0.0)]
    for number, score in enumerate(scores):
        events += [
            Proposed(number, {}, "Random", 0.0),
            Leased(number, length, 0.0),
            Reported(number, length, {"loss": score}, 1.0),
            Returned(number, length, "Decision", 1.0),
        ]
    return events


def decide(history: History, may_begin: bool = True, **settings: Any) -> Decision | None:
    return open_scheduler(spec_of({**ASHA, **settings})).decide(history, may_begin=may_begin)


def test_of_three_the_best_goes_on_and_of_nine_the_best_of_those() -> None:
    made = short(decisions(ASHA, flat(5, 4, 9, 3, 8, 7, 2, 6, 1)))
    assert made == [
        *((None, 2), (None, 2), (None, 2), (1, 6)),
        *((None, 2), (3, 6), (None, 2), (None, 2)),
        *((None, 2), (6, 6), (6, 18)),
        *((None, 2), (None, 2), (8, 6), (8, 18)),
    ]


@pytest.mark.parametrize(
    ("settings", "steps", "every", "lengths"),
    [
        ({}, 54, 2, (2, 6, 18, None)),
        ({}, 2000, 20, (80, 240, 680, None)),
        ({"firstSteps": 5}, 54, 2, (6, 16, 46, None)),
        ({"firstSteps": 1, "reduction": 4}, 50, 7, (7, 21, None)),
        ({"firstSteps": 54}, 54, 2, (None,)),
        ({"firstSteps": 500}, 54, 2, (None,)),
        ({}, 54, 500, (None,)),
    ],
)
def test_lengths_grow_by_the_reduction_and_fall_on_evaluations(
    settings: dict[str, Any], steps: int, every: int, lengths: tuple[int | None, ...]
) -> None:
    made = decisions({**ASHA, **settings}, flat(*range(200)), steps=steps, every=every)
    assert {one.until for one in made if isinstance(one, Train)} == set(lengths)


def test_equal_scores_go_by_number() -> None:
    assert decide(history_of(at_rest(1, 1, 1))) == Train(0, 6)


def test_one_that_failed_counts_for_nothing() -> None:
    events = at_rest(1, 2, 3)
    assert decide(history_of(events)) == Train(0, 6)
    events.append(Ended(2, "Failed", "WorkerLost", "", 2.0))
    assert decide(history_of(events)) == Train(None, 2)


def test_one_that_ended_keeps_its_place_and_does_not_go_on() -> None:
    events = [*at_rest(1, 2, 3), Ended(0, "Stopped", "Unwanted", "", 2.0)]
    assert decide(history_of(events)) == Train(None, 2)
    assert decide(
        history_of([*at_rest(1, 2, 3, 4, 5, 6), Ended(0, "Stopped", "Unwanted", "", 2.0)])
    ) == Train(1, 6)


def test_one_that_comes_back_counts_once_it_is_back() -> None:
    events = at_rest(3, 2, 1)
    assert decide(history_of(events)) == Train(2, 6)
    assert decide(history_of(events[:-1])) == Train(None, 2)


def test_one_whose_worker_was_lost_between_two_lengths_goes_on_first() -> None:
    events = [
        *at_rest(1, 2, 3),
        *(Leased(0, 6, 2.0), Reported(0, 4, {"loss": 1.0}, 3.0), Returned(0, 4, "WorkerLost", 3.0)),
    ]
    assert decide(history_of(events), may_begin=False) == Train(0, 6)
    fresh: list[Event] = [Began(1, 0, 1, {}, 0.0), Proposed(0, {}, "Random", 0.0)]
    assert decide(history_of(fresh)) == Train(0, 2)
    whole = [
        *events,
        Leased(0, None, 4.0),
        Reported(0, 54, {"loss": 1.0}, 5.0),
        Returned(0, 50, "WorkerLost", 5.0),
    ]
    assert decide(history_of(whole)) == Train(0, None)


def test_what_no_place_is_left_for_is_left_waiting() -> None:
    swept = simulation(ASHA, flat(1, 2, 3, 4)).run()
    assert [one.state for one in swept.history.trials] == ["Waiting"] * 4
    assert [one.step for one in swept.history.trials] == [6, 2, 2, 2]


def test_trials_of_earlier_sweeps_hold_no_place() -> None:
    events = at_rest(5, 4, 3)
    for number in range(3, 9):
        events += [
            Proposed(number, {}, WARM_START, 0.0),
            Reported(number, 54, {"loss": 0.1}, 0.0),
            Ended(number, "Completed", WARM_START, "", 0.0),
        ]
    assert decide(history_of(events)) == Train(2, 6)


def test_a_score_that_is_told_later_is_waited_for_at_the_same_length() -> None:
    events: list[Event] = [Began(1, 0, 1, {}, 0.0), Proposed(0, {}, "Random", 0.0), Leased(0, 2, 0.0)]
    events += [Reported(0, 2, {"other": 1.0}, 1.0), Returned(0, 2, "WorkerLost", 1.0)]
    assert decide(history_of(events)) == Train(0, 2)


def test_lengths_of_another_spec_are_judged_by_the_next_report() -> None:
    assert decide(history_of(at_rest(1, 2, 3, length=8)), firstSteps=4) == Train(0, 12)
    assert decide(history_of(at_rest(1, 2, 3, length=8)), firstSteps=12) == Train(0, 12)


def test_hyperband_deals_trials_by_the_shares_of_brackets_which_cost_about_the_same() -> None:
    swept = simulation({"type": "Hyperband"}, flat(*[0.0] * 49)).run()
    first: dict[int, int | None] = {}
    for event in swept.events:
        if isinstance(event, Leased):
            first.setdefault(event.trial, event.until)
    # Algorithm 1 of Li et al. 2018 with R / r = 27: 27, 12, 6 and 4 trials.
    assert Counter(first.values()) == {2: 27, 6: 12, 18: 6, None: 4}
    assert [first[number] for number in range(8)] == [2, 6, 2, 18, 2, None, 2, 6]


def test_the_scores_that_are_to_be_great_are() -> None:
    from raygen.spec.sweep.sweep import Objective

    history = History((Objective(metric="loss", goal="Maximize"),))
    for event in at_rest(1, 2, 3):
        history.take(event)
    assert decide(history) == Train(2, 6)


def test_a_hundred_learning_curves_cost_an_eighth_and_the_best_is_found() -> None:
    for seed in range(3):
        curves = power_laws(seed)
        swept = simulation(ASHA, curves, 2000, 20, concurrency=4).run()
        ends = [curve(2000) for curve in curves]
        assert ends[swept.history.best()[0].number] <= 1.01 * min(ends)
        assert swept.trained <= 0.15 * 100 * 2000


@pytest.mark.parametrize("kind", ["Full", "ASHA", "Hyperband", "Median"])
def test_a_decision_costs_as_much_as_what_is_new(kind: str) -> None:
    spent = made = 0.0
    draw = random.Random(0)
    levels = flat(*(draw.random() for _ in range(2000)))
    swept = simulation({"type": kind}, levels, every=6, concurrency=16)
    scheduler = open_scheduler(spec_of({"type": kind}, every=6))

    class Timed:
        def decide(self, history: History, *, may_begin: bool) -> Decision | None:
            nonlocal spent, made
            began = time.process_time()
            decision = scheduler.decide(history, may_begin=may_begin)
            spent, made = spent + time.process_time() - began, made + 1
            return decision

    swept.scheduler = Timed
    timed: Simulation = swept.run()
    assert len(timed.history.trials) == 2000
    assert spent / made < 0.5e-3
