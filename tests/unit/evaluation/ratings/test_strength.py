"""Strengths from comparisons: those that games were drawn by come out, and extremes stay finite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from raygen.errors import DataError
from raygen.evaluation.ratings.strength import PRIOR, Comparison, strengths
from tests.budget import examples

GAMES = st.lists(
    st.tuples(st.permutations("abcd"), st.sampled_from([0.0, 0.5, 1.0])).map(
        lambda one: Comparison(one[0][0], one[0][1], one[1])
    ),
    min_size=1,
    max_size=30,
)


def drawn(true: dict[str, float], games: int, seed: int) -> list[Comparison]:
    random, names = np.random.default_rng(seed), sorted(true)
    found = []
    for _ in range(games):
        first, second = random.choice(names, size=2, replace=False)
        chance = 1 / (1 + math.exp(true[second] - true[first]))
        found.append(Comparison(str(first), str(second), float(random.random() < chance)))
    return found


@examples(40)
@given(GAMES)
def test_they_are_the_most_likely_ones(games: list[Comparison]) -> None:
    found = strengths(games, resamples=1)
    names = sorted(found)

    def loss(values: np.ndarray) -> float:
        at = dict(zip(names, values, strict=True))
        total = sum(
            share * math.log1p(math.exp(at[two] - at[one]))
            for game in games
            for one, two, share in (
                (game.first, game.second, game.first_share),
                (game.second, game.first, 1 - game.first_share),
            )
        )
        return total + PRIOR * sum(math.log1p(math.exp(-v)) + math.log1p(math.exp(v)) for v in values)

    best = minimize(loss, np.zeros(len(names)), tol=1e-12).x
    ours = np.array([found[name].value for name in names])
    np.testing.assert_allclose(ours, best - best.mean(), atol=2e-4)


def test_games_tell_the_strengths_that_they_were_drawn_by() -> None:
    true = {"a": 1.0, "b": 0.2, "c": -0.2, "d": -1.0}
    found = strengths(drawn(true, 4000, 0), resamples=200)
    assert list(found) == ["a", "b", "c", "d"]
    for name, value in true.items():
        assert found[name].value == pytest.approx(value, abs=0.15)
        assert found[name].low < found[name].value < found[name].high
    assert sum(one.count for one in found.values()) == 8000
    assert strengths(drawn(true, 50, 1), seed=3, resamples=50) == strengths(
        drawn(true, 50, 1), seed=3, resamples=50
    )


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    true = {"a": 0.5, "b": 0.0, "c": -0.5}
    inside = [
        found[name].low <= true[name] <= found[name].high
        for seed in range(60)
        for found in [strengths(drawn(true, 200, seed), resamples=200)]
        for name in true
    ]
    assert 0.88 <= sum(inside) / len(inside) <= 1


def test_who_wins_always_is_strong_and_not_infinitely() -> None:
    found = strengths([Comparison("a", "b", 1.0)] * 1000, resamples=10)
    assert 3 < found["a"].value < 10
    assert found["a"].value == pytest.approx(-found["b"].value)
    tied = strengths([Comparison("a", "b", 0.5)] * 10, resamples=10)
    assert tied["a"].value == pytest.approx(0)


@pytest.mark.parametrize(
    "games", [[], [Comparison("a", "a", 1.0)], [Comparison("a", "b", 1.5)], [Comparison("a", "b", math.nan)]]
)
def test_what_is_no_comparison_is_refused(games: list[Comparison]) -> None:
    with pytest.raises(DataError):
        strengths(games)
