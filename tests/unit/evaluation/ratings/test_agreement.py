"""Agreement beside SciPy and beside the definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raygen.errors import DataError
from raygen.evaluation.judge import agreement
from raygen.evaluation.ratings.agreement import kendall, spearman
from raygen.evaluation.ratings.intervals import Values, estimate, mean
from tests.budget import examples

RATINGS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=30)


def tau_b(one: Values, other: Values) -> float:
    """Kendall (1945) pair by pair: what agrees less what does not, over the roots of the pairs without a tie."""
    signs = [
        (np.sign(one[i] - one[j]), np.sign(other[i] - other[j]))
        for i, j in itertools.combinations(range(len(one)), 2)
    ]
    return float(
        sum(a * b for a, b in signs)
        / math.sqrt(sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs))
    )


@given(RATINGS)
@examples(100)
def test_correlations_are_those_of_the_definitions_and_of_scipy(rated: list[tuple[int, int]]) -> None:
    one, other = np.array(rated, dtype=np.float64).T
    if not (np.ptp(one) and np.ptp(other)):
        assert math.isnan(spearman(one, other))
        assert math.isnan(kendall(one, other))
        return
    ranks = np.corrcoef(stats.rankdata(one), stats.rankdata(other))[0, 1]
    assert spearman(one, other) == pytest.approx(ranks, abs=1e-12)
    assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
    assert kendall(one, other) == pytest.approx(tau_b(one, other), abs=1e-12)
    assert kendall(one, other) == pytest.approx(stats.kendalltau(one, other).statistic, abs=1e-12)


def test_agreement_is_over_what_both_have_rated() -> None:
    judge = [5, 4, None, 2, 1, 3, None]
    people = [5, 5, 3, 4, 1, None, None]
    found = agreement(judge, people, resamples=400)
    assert (found.count, found.left_out) == (4, 3)
    assert found.exact is not None
    assert found.within_one is not None
    assert (found.exact.value, found.within_one.value) == (0.5, 0.75)
    assert found.spearman is not None
    assert found.spearman.value == pytest.approx(stats.spearmanr([5, 4, 2, 1], [5, 5, 4, 1]).statistic)
    assert found.kendall is not None
    assert found.kendall.value == pytest.approx(stats.kendalltau([5, 4, 2, 1], [5, 5, 4, 1]).statistic)
    assert found == agreement(judge, people, resamples=400)


def test_a_constant_rating_has_no_correlation() -> None:
    found = agreement([3, 3, 3], [1, 2, 3], resamples=50)
    assert (found.spearman, found.kendall) == (None, None)
    assert found.within_one is not None


def test_ratings_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(DataError, match="2 ratings and 3"):
        agreement([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="not a finite number"):
        agreement([1, math.nan], [1, 2])
    empty = agreement([None], [1])
    assert (empty.exact, empty.count, empty.left_out) == (None, 0, 1)


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        found = estimate([random.integers(1, 6, size=50).astype(np.float64)], mean, seed, resamples=300)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 3.0 <= found.high
    # 95 % of 200 is 190; the bounds are four deviations of the count.
    assert 177 <= covered <= 200


def test_an_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).normal(size=80)
    ours = estimate([values], mean, resamples=4000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=5)
    assert ours is not None
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)


def test_one_case_has_no_interval() -> None:
    found = estimate([np.array([4.0])], mean)
    assert found is not None
    assert (found.value, found.low, found.high, found.count) == (4.0, None, None, 1)
