"""Full: every trial to its end."""

from __future__ import annotations

from raygen.sweeps.events import Began, Leased, Proposed, Reported, Returned
from raygen.sweeps.scheduling.opening import open_scheduler
from raygen.sweeps.scheduling.protocol import Train
from tests.unit.sweeps.scheduling.setting import decisions, flat, history_of, short, simulation, spec_of
from tests.unit.sweeps.simulated import Faults

FULL = {"type": "Full"}


def test_every_trial_is_trained_whole() -> None:
    assert short(decisions(FULL, flat(3, 1, 2))) == [(None, None)] * 3


def test_a_trial_that_waits_goes_on_before_a_new_one_begins_and_the_lowest_first() -> None:
    history = history_of(
        [
            Began(1, 0, 1, {}, 0.0),
            Proposed(0, {}, "Random", 0.0),
            Leased(0, None, 0.0),
            Proposed(1, {}, "Random", 0.0),
            Leased(1, None, 0.0),
            Reported(1, 2, {"loss": 1.0}, 1.0),
            Returned(1, 2, "WorkerLost", 2.0),
        ]
    )
    scheduler = open_scheduler(spec_of(FULL))
    assert scheduler.decide(history, may_begin=True) == Train(1, None)
    history.take(Began(2, 7, 1, None, 3.0))
    assert scheduler.decide(history, may_begin=True) == Train(0, None)
    assert scheduler.decide(history, may_begin=False) == Train(0, None)
    history.take(Leased(0, None, 3.0))
    assert scheduler.decide(history, may_begin=True) == Train(1, None)
    history.take(Leased(1, None, 3.0))
    assert scheduler.decide(history, may_begin=True) == Train(None, None)
    assert scheduler.decide(history, may_begin=False) is None


def test_all_come_to_an_end_whatever_happens() -> None:
    swept = simulation(FULL, flat(*range(30)), concurrency=4, seed=3, faults=Faults(0.1, 0.01, 0.1)).run()
    assert len(swept.history.trials) == 30
    assert {one.state for one in swept.history.trials} == {"Completed", "Failed"}
