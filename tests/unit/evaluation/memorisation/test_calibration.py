"""p-values that hold for any distribution."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.memorisation.calibration import alarm_p_value, interval, p_values
from tests.budget import examples


def test_p_values_count_held_out_scores_that_are_not_above() -> None:
    found = p_values(torch.tensor([0.0, 1.0, 2.5, 9.0]), torch.tensor([3.0, 1.0, 2.0]))
    assert found.tolist() == [1 / 4, 2 / 4, 3 / 4, 1.0]


@examples(30)
@given(st.integers(20, 200), st.integers(0, 10**6), st.sampled_from([0.05, 0.1, 0.2]))
def test_real_images_have_small_p_values_as_seldom_as_they_say(held_out: int, seed: int, rate: float) -> None:
    scores = torch.randn(200, held_out + 1, generator=torch.Generator().manual_seed(seed))
    small = [float(p_values(row[:1], row[1:])) <= rate for row in scores]
    # 200 draws, and four deviations.
    assert sum(small) / 200 <= rate + 4 * math.sqrt(rate * (1 - rate) / 200)


@examples(30)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(6, 60))
def test_the_chances_of_all_numbers_add_up_to_those_of_the_first(
    count: int, rank: int, held_out: int
) -> None:
    tails = [alarm_p_value(flagged, count, rank, held_out) for flagged in range(count + 1)]
    assert tails[0] == 1
    assert tails == sorted(tails, reverse=True)
    # The mean of the beta-binomial distribution.
    assert sum(tails[1:]) == pytest.approx(count * rank / (held_out + 1))


def test_one_real_image_below_the_lowest_of_three() -> None:
    assert alarm_p_value(1, 1, 1, 3) == pytest.approx(1 / 4)
    # Both are below three others: 2! 3! / 5!.
    assert alarm_p_value(2, 2, 1, 3) == pytest.approx(1 / 10)


def test_intervals_hold_shares_near_the_ends() -> None:
    assert interval(0, 100)[0] == 0
    assert 0.03 < interval(0, 100)[1] < 0.04
    low, high = interval(50, 100)
    assert low == pytest.approx(0.4038, abs=1e-4)
    assert high == pytest.approx(0.5962, abs=1e-4)
