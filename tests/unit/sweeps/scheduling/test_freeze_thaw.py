"""FreezeThaw, and the forecasts that it is made of."""

from __future__ import annotations

import time
import warnings
from functools import cache

import numpy as np
import pytest

from raygen.spec.sweep.sweep import Constraint
from raygen.sweeps.events import Proposed, Reported, Returned
from raygen.sweeps.history import History
from raygen.sweeps.scheduling.curves import Floats, forecast
from raygen.sweeps.scheduling.opening import open_scheduler
from raygen.sweeps.scheduling.protocol import Decision, Train
from tests.unit.sweeps.scheduling.setting import (
    Curve,
    decisions,
    flat,
    power_laws,
    short,
    simulation,
    spec_of,
)
from tests.unit.sweeps.simulated import LOSS, Simulation

FREEZE_THAW = {"type": "FreezeThaw"}


def points_of(curve: Curve, count: int) -> tuple[Floats, Floats]:
    steps = range(80, 80 * count + 1, 80)
    return np.array(steps) / 2000, np.array([curve(step) for step in steps])


@cache
def swept_with(kind: str, seed: int) -> Simulation:
    return simulation({"type": kind}, power_laws(seed), 2000, 20, concurrency=4).run()


@pytest.mark.parametrize("seed", range(3))
def test_the_best_of_a_hundred_learning_curves_is_found_with_an_eighth_of_their_steps(seed: int) -> None:
    swept = swept_with("FreezeThaw", seed)
    ends = [curve(2000) for curve in power_laws(seed)]
    assert swept.history.best()[0].state == "Completed"
    assert ends[swept.history.best()[0].number] <= 1.01 * min(ends)
    assert swept.trained <= 0.12 * 100 * 2000
    assert swept.trained < swept_with("ASHA", seed).trained


def test_a_trial_trains_an_interval_at_a_time() -> None:
    made = decisions({**FREEZE_THAW, "firstSteps": 10}, flat(3, 2, 1))
    leases = {one.until for one in made if isinstance(one, Train)}
    assert leases <= {10, 20, 30, 40, 50, None}
    assert None in leases


def test_all_that_may_begin_do_and_one_is_trained_whole() -> None:
    for levels in ([1.0], [1.0, 1.0], [0.0] * 5, [1e300, -1e300, 1e-300, 5.0], [1e9, 1e9 + 1, 1e9 + 2]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            swept = simulation(FREEZE_THAW, flat(*levels)).run()
        assert len(swept.history.trials) == len(levels)
        assert "Completed" in {one.state for one in swept.history.trials}


def test_one_that_breaks_a_constraint_goes_on_only_where_all_do() -> None:
    def swept(sizes: list[float]) -> Simulation:
        made = simulation(FREEZE_THAW, flat(*range(4)), constraints=(Constraint(metric="size", at_most=2),))
        made.objective = lambda values, step: {"loss": float(values["curve"]), "size": sizes[values["curve"]]}
        return made.run()

    some = swept([3, 3, 1, 1])
    assert [one.step for one in some.history.trials[:2]] == [2, 2]
    assert some.history.best()[0].state == "Completed"
    assert "Completed" in {one.state for one in swept([3, 3, 3, 3]).history.trials}


def test_where_the_first_decision_is_the_end_every_trial_is_trained_whole() -> None:
    assert short(decisions({**FREEZE_THAW, "firstSteps": 54}, flat(1, 2))) == [(None, None)] * 2


def test_a_decision_about_a_hundred_curves_of_twenty_points_takes_less_than_50_ms() -> None:
    """Processor time, so that what runs beside it counts little."""
    history = History((LOSS,))
    for number, curve in enumerate(power_laws(0)):
        history.take(Proposed(number, {}, "Random", 0.0))
        for step in range(80, 1601, 80):
            history.take(Reported(number, step, {"loss": curve(step)}, 1.0))
        history.take(Returned(number, 1600, "Decision", 1.0))
    scheduler = open_scheduler(spec_of({**FREEZE_THAW, "firstSteps": 80}, 2000, 20))
    found: list[Decision | None] = [scheduler.decide(history, may_begin=True)]
    began = time.process_time()
    found += [scheduler.decide(history, may_begin=True) for _ in range(5)]
    assert (time.process_time() - began) / 5 < 0.05
    assert len({str(one) for one in found}) == 1


def test_errors_of_forecasts_are_about_as_large_as_is_said_and_fall_with_the_points() -> None:
    curves = power_laws(5)
    generator = np.random.default_rng(0)
    counts = [int(count) for count in generator.integers(1, 20, 100)]
    found = forecast([points_of(curve, count) for curve, count in zip(curves, counts, strict=True)], 0.04)
    ends = np.array([curve(2000) for curve in curves])
    spread = np.sqrt(
        (found.weights * (found.deviations**2 + (found.means - found.ends()[:, None]) ** 2)).sum(1)
    )
    errors = np.abs(found.ends() - ends)
    assert np.mean(errors <= 2 * spread) >= 0.75
    long = np.array(counts) >= 10
    assert errors[long].mean() < 0.25 * errors[~long].mean()
    assert abs(found.mean - ends.mean()) < 2 * found.deviation


def test_a_power_law_without_noise_is_continued() -> None:
    shares = np.arange(1, 11) / 27
    curves = [(shares, end + 0.5 * (shares**-0.5 - 1)) for end in (1.0, 1.1, 1.3, 1.6, 2.0)]
    assert forecast(curves, 1 / 27).ends() == pytest.approx([1.0, 1.1, 1.3, 1.6, 2.0], abs=0.02)


def test_forecasts_follow_the_units_of_scores() -> None:
    curves = [points_of(curve, 1 + number % 7) for number, curve in enumerate(power_laws(1, 20))]
    plain = forecast(curves, 0.04)
    scaled = forecast([(shares, 1000 * scores - 7) for shares, scores in curves], 0.04)
    assert scaled.ends() == pytest.approx(1000 * plain.ends() - 7)
    assert scaled.gains(993.0) == pytest.approx(1000 * plain.gains(1.0), abs=1e-6)
