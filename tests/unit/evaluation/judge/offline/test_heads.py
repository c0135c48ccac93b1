"""From features to scores."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.judge.offline.heads import FEATURES, Head, fitted
from raygen.evaluation.judge.rubrics import RUBRICS
from tests.budget import examples

SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=3)


def test_every_metric_has_features() -> None:
    assert set(FEATURES) == set(RUBRICS)
    assert all(len({one.name for one in listed}) == len(listed) for listed in FEATURES.values())


@given(SHARES, SHARES)
@examples(100)
def test_a_score_rises_with_every_feature(one: list[float], other: list[float]) -> None:
    head = Head((1.0, 0.0, 2.5), -1.0, (1.0, 1.0, 1.0))
    low, high = ([chosen(*pair) for pair in zip(one, other, strict=True)] for chosen in (min, max))
    assert 1 <= head.expected(low) <= head.expected(high) <= 5


def test_a_fit_finds_the_weights_that_made_the_scores_where_there_are_many() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(size=(4000, 3)) * 4
    scores = 1 + 4 / (1 + np.exp(-(features @ np.array([1.5, 0.0, 0.8]) - 4)))
    head = fitted(features, scores, [1.0, 0.2, 1.0])
    assert np.allclose(head.weights, [1.5, 0.0, 0.8], atol=0.15)
    assert all(weight >= 0 for weight in head.weights)


def test_without_a_trend_a_weight_stays_near_what_was_expected() -> None:
    features = np.tile([[0.0, 1.0], [1.0, 1.0]], (50, 1))
    head = fitted(features, np.tile([1.5, 4.5], 50), [2.0, 1.7])
    assert abs(head.weights[1] - 1.7) < 1e-6
    assert head.weights[0] > 2.0


def test_losses_are_told_beside_answers_without_a_fault() -> None:
    head = Head((1.0, 2.0), 0.0, (0.9, 0.5))
    assert np.allclose(head.losses([0.4, 0.6]), [0.5, -0.2])
