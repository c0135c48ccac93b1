from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.spec import Optimizer
from raygen.spec.job.training import ConstantSchedule, FallingSchedule, ResolvedSchedule
from raygen.training.optimizers.schedule import rate_share

OPTIMIZER = Optimizer(type="AdamW", learning_rate=1e-3)


def schedule_of(kind: str, warmup: int) -> ResolvedSchedule:
    if kind == "Constant":
        return ConstantSchedule(type="Constant", warmup_steps=warmup)
    return FallingSchedule.model_validate({"type": kind, "warmup_steps": warmup, "final_learning_rate": 0.0})


def test_warm_up_rises_linearly_to_the_peak() -> None:
    schedule = ConstantSchedule(type="Constant", warmup_steps=4)
    assert [rate_share(schedule, OPTIMIZER, step, 10) for step in range(1, 7)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_cosine_is_nanogpts() -> None:
    schedule = FallingSchedule(type="Cosine", warmup_steps=100, final_learning_rate=1e-4)
    for step in (101, 500, 1500, 2000):
        progress = (step - 100) / 1900
        expected = 1e-4 + 0.5 * (1 + math.cos(math.pi * progress)) * (1e-3 - 1e-4)
        assert rate_share(schedule, OPTIMIZER, step, 2000) * 1e-3 == pytest.approx(expected, rel=1e-12)


def test_linear_ends_at_its_final_rate() -> None:
    schedule = FallingSchedule(type="Linear", final_learning_rate=5e-4)
    assert rate_share(schedule, OPTIMIZER, 10, 10) == pytest.approx(0.5)
    assert rate_share(schedule, OPTIMIZER, 5, 10) == pytest.approx(0.75)


def test_warm_up_stable_decay_has_three_phases() -> None:
    schedule = FallingSchedule(
        type="WarmupStableDecay", final_learning_rate=0.0, warmup_steps=2, decay_steps=4
    )
    shares = [rate_share(schedule, OPTIMIZER, step, 10) for step in range(1, 11)]
    assert shares == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])


@given(
    kind=st.sampled_from(["Constant", "Cosine", "Linear", "WarmupStableDecay"]),
    warmup=st.integers(0, 50),
    steps=st.integers(1, 200),
    data=st.data(),
)
def test_shares_stay_between_zero_and_one(kind: str, warmup: int, steps: int, data: st.DataObject) -> None:
    schedule = schedule_of(kind, warmup)
    share = rate_share(schedule, OPTIMIZER, data.draw(st.integers(1, steps)), steps)
    assert 0 <= share <= 1


@given(steps=st.integers(2, 200), kind=st.sampled_from(["Cosine", "Linear", "WarmupStableDecay"]))
def test_rates_never_rise_after_the_warm_up(steps: int, kind: str) -> None:
    schedule = schedule_of(kind, steps // 3)
    shares = [rate_share(schedule, OPTIMIZER, step, steps) for step in range(steps // 3 + 1, steps + 1)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(shares))
