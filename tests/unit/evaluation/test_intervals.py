"""Intervals by the jackknife: the textbook's error of a mean, how often they hold what is true, and differences in pairs."""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.intervals import GROUPS, Interval, difference, intervals, jackknife
from tests.budget import examples

VALUES = st.floats(-1e3, 1e3)


def without_each(groups: list[float]) -> list[float]:
    """The mean of equal groups without each of them."""
    return [(math.fsum(groups) - one) / (GROUPS - 1) for one in groups]


def of(groups: list[float]) -> Interval:
    found = jackknife(fmean(groups), without_each(groups))
    assert found is not None
    return found


@examples(60)
@given(st.lists(VALUES, min_size=GROUPS, max_size=GROUPS))
def test_of_a_mean_it_is_the_standard_error_of_group_means(groups: list[float]) -> None:
    found = of(groups)
    assert found.standard_error == pytest.approx(stdev(groups) / math.sqrt(GROUPS), abs=1e-9)
    assert (found.low + found.high) / 2 == pytest.approx(fmean(groups), abs=1e-9)
    # Student's t with 9 degrees of freedom: 2.262 by every table.
    assert found.high - found.low == pytest.approx(2 * 2.262 * found.standard_error, rel=1e-3, abs=1e-9)
    assert found.without == tuple(without_each(groups))


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    samples = np.random.default_rng(0).normal(3, 2, (1000, GROUPS, 5)).mean(axis=2)
    hit = [one.low <= 3 <= one.high for one in (of(groups.tolist()) for groups in samples)]
    # 950 are expected, with a standard error of 7.
    assert 925 <= sum(hit) <= 975


@pytest.mark.parametrize(
    ("value", "without"),
    [
        (1.0, [1.0] * (GROUPS - 1)),
        (1.0, []),
        (math.nan, [1.0] * GROUPS),
        (math.inf, [1.0] * GROUPS),
        (1.0, [1.0] * (GROUPS - 1) + [math.nan]),
    ],
)
def test_there_is_none_without_all_values(value: float, without: list[float]) -> None:
    assert jackknife(value, without) is None


def test_values_by_name_have_intervals_by_name() -> None:
    groups = [float(number) for number in range(GROUPS)]
    values = {"mean": 4.5, "mean_standard_error": 0.1, "lost": math.nan, "partly": 1.0}

    def compute(group: int) -> dict[str, float]:
        found = {"mean": without_each(groups)[group], "mean_standard_error": 0.1, "lost": 1.0}
        return found | ({"partly": 1.0} if group else {})

    assert intervals(values, compute) == {"mean": of(groups)}


def test_what_both_have_in_common_is_taken_out_of_a_difference() -> None:
    noise = np.random.default_rng(1).normal(0, 1, GROUPS)
    first = (5 + noise).tolist()
    second = [value + 0.1 + 0.001 * number for number, value in enumerate(first)]
    paired = difference(fmean(first), fmean(second), of(first), of(second))
    assert paired.value == pytest.approx(0.1045)
    assert paired.low is not None
    assert paired.high is not None
    assert 0.1 < paired.low < paired.high < 0.11
    assert paired.real is True
    # Each alone says much less.
    assert of(first).high > of(second).low
    back = difference(fmean(second), fmean(first), of(second), of(first))
    assert (back.value, back.low, back.high) == pytest.approx((-paired.value, -paired.high, -paired.low))


def test_chance_is_called_real_as_seldom_as_it_says() -> None:
    samples = np.random.default_rng(2).normal(0, 1, (1000, 2, GROUPS)).tolist()
    real = [difference(fmean(a), fmean(b), of(a), of(b)).real for a, b in samples]
    expected = 1000 * 2 * NormalDist().cdf(-1.96)
    assert abs(sum(map(bool, real)) - expected) < 25


def test_a_difference_without_intervals_is_neither_real_nor_chance() -> None:
    one = of([1.0] * GROUPS)
    assert difference(1.0, 3.0, None, one).real is None
    assert difference(1.0, 3.0, one, None).value == 2.0
    assert difference(1.0, math.nan, one, one).real is None
    assert difference(1.0, 1.0, one, one).real is False
