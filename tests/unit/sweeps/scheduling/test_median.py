"""The median stopping rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raygen.spec.sweep.sweep import Constraint, Objective
from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, Reported, Returned
from raygen.sweeps.history import History
from raygen.sweeps.scheduling.opening import open_scheduler
from raygen.sweeps.scheduling.protocol import Decision, End, Train
from tests.budget import examples
from tests.unit.sweeps.scheduling.setting import decisions, flat, history_of, power_laws, simulation, spec_of

MEDIAN = {"type": "Median", "firstSteps": 6}
"""Of 54 steps, evaluated after every second one: decisions after 6, 10, 14, ..., 50."""


def trained(number: int, scores: Sequence[float], every: int = 2) -> list[Event]:
    """A trial that has reported these and waits."""
    events: list[Event] = [Proposed(number, {}, "Random", 0.0), Leased(number, every * len(scores), 0.0)]
    events += [Reported(number, every * place, {"loss": score}, 1.0) for place, score in enumerate(scores, 1)]
    return [*events, Returned(number, every * len(scores), "Decision", 1.0)]


def sweep_of(*curves: Sequence[float]) -> History:
    events: list[Event] = [Began(1, 0, 1, {}, 0.0)]
    for number, scores in enumerate(curves):
        events += trained(number, scores)
    # All but the last train.
    events += [Leased(number, None, 2.0) for number in range(len(curves) - 1)]
    return history_of(events)


def decide(history: History, **settings: Any) -> Decision | None:
    return open_scheduler(spec_of({**MEDIAN, **settings})).decide(history, may_begin=False)


def test_the_best_score_is_compared_with_the_median_of_running_averages_of_others() -> None:
    # Running averages at step 6: 2, 3, 4; their median is 3. That of the last would be 5.
    others = ([3, 2, 1], [3, 3, 3], [4, 4, 4])
    assert decide(sweep_of(*others, (9, 3.0, 3)), leastTrials=3) == Train(3, 10)
    assert decide(sweep_of(*others, (9, 3.1, 3.2)), leastTrials=3) == End(
        3,
        "WorseThanMedian",
        "at step 6 the best loss is 3.1, and the median of the running averages of 3 others is 3",
    )


def test_of_an_even_number_the_median_is_between_the_middle_two() -> None:
    others = ([1] * 3, [2] * 3, [4] * 3, [9] * 3)
    assert decide(sweep_of(*others, [3] * 3), leastTrials=4) == Train(4, 10)
    assert isinstance(decide(sweep_of(*others, [3.01] * 3), leastTrials=4), End)


def test_what_others_did_later_and_who_has_not_come_as_far_count_for_nothing() -> None:
    others = ([5, 5, 5, 0, 0, 0], [6, 6, 6], [0, 0])
    assert isinstance(decide(sweep_of(*others, [5.4] * 3), leastTrials=2), Train)
    assert isinstance(decide(sweep_of(*others, [5.6] * 3), leastTrials=2), End)
    assert isinstance(decide(sweep_of(*others, [5.6] * 3), leastTrials=3), Train)


def test_five_others_are_needed_where_nothing_is_said() -> None:
    assert isinstance(decide(sweep_of(*[[1] * 3] * 4, [9] * 3)), Train)
    assert isinstance(decide(sweep_of(*[[1] * 3] * 5, [9] * 3)), End)


def test_one_that_failed_counts_for_nothing() -> None:
    history = sweep_of(*[[1] * 3] * 5, [9] * 3)
    scheduler = open_scheduler(spec_of(MEDIAN))
    assert isinstance(scheduler.decide(history, may_begin=False), End)
    history.take(Ended(0, "Failed", "NonFiniteMetric", "", 3.0))
    assert scheduler.decide(history, may_begin=False) == Train(5, 10)


def test_one_that_breaks_a_constraint_is_behind_all_that_do_not() -> None:
    events: list[Event] = [Began(1, 0, 1, {}, 0.0)]
    for number, (loss, size) in enumerate([(5, 1), (6, 1), (7, 1), (1, 3), (1, 3)]):
        events += [Proposed(number, {}, "Random", 0.0), Leased(number, 6, 0.0)]
        events += [Reported(number, 6, {"loss": float(loss), "size": float(size)}, 1.0)]
        events += [Returned(number, 6, "Decision", 1.0)]
        events += [Leased(number, None, 2.0)] if number < 4 else []
    history = History((Objective(metric="loss", goal="Minimize"),), (Constraint(metric="size", at_most=2),))
    for event in events:
        history.take(event)
    assert decide(history, leastTrials=4) == End(
        4, "WorseThanMedian", "at step 6 it breaks a constraint, which most of 4 others do not"
    )


def test_a_great_score_can_be_good() -> None:
    history = History((Objective(metric="loss", goal="Maximize"),))
    events: list[Event] = [Began(1, 0, 1, {}, 0.0)]
    for number, score in enumerate([3, 4, 5, 2]):
        events += trained(number, [score] * 3)
    for event in [*events, *(Leased(number, None, 2.0) for number in range(3))]:
        history.take(event)
    found = decide(history, leastTrials=3)
    assert isinstance(found, End)
    assert found.message == (
        "at step 6 the best loss is 2, and the median of the running averages of 3 others is 4"
    )


def test_one_that_is_whole_is_not_judged() -> None:
    events: list[Event] = [Began(1, 0, 1, {}, 0.0)]
    for number in range(6):
        events += trained(number, [1.0 if number < 5 else 9.0] * 27)
    history = history_of([*events, *(Leased(number, None, 2.0) for number in range(5))])
    assert decide(history) == Train(5, None)


@given(first=st.integers(1, 60), every=st.integers(1, 20), steps=st.integers(1, 3000))
@examples(25)
def test_there_are_at_most_twenty_decisions_on_a_trial_all_of_them_evaluations(
    first: int, every: int, steps: int
) -> None:
    made = decisions({"type": "Median", "firstSteps": first}, flat(1), steps=steps, every=every)
    leases = [one.until for one in made if isinstance(one, Train)]
    assert leases[-1] is None
    decided = [one for one in leases if one is not None]
    assert len(decided) <= 20
    assert all(one % every == 0 and one < steps for one in decided)
    assert not decided or decided[0] == -(-first // every) * every


def test_half_of_a_hundred_learning_curves_end_early_and_the_best_is_found() -> None:
    curves = power_laws(0)
    swept = simulation({"type": "Median"}, curves, 2000, 20, concurrency=4).run()
    ends = [curve(2000) for curve in curves]
    assert ends[swept.history.best()[0].number] <= 1.01 * min(ends)
    assert swept.trained <= 0.7 * 100 * 2000
    assert all(one.has_ended for one in swept.history.trials)
