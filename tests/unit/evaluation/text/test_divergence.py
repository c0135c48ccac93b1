"""The divergence of texts: the area has its closed forms, and clusters tell sets apart as far as they differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from raygen.evaluation.text.clusters import directions, kmeans, principal_components
from raygen.evaluation.text.divergence import divergence, frontier, frontier_area
from tests.budget import examples

Values = NDArray[np.float64]

COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8).filter(
    lambda rows: all(sum(column) for column in zip(*rows, strict=True))
)


def by_trapezoids(p: Values, q: Values, points: int) -> float:
    """The area as the paper's program has it: at equal steps of the mixture, with the extreme points, by trapezoids of both axes."""
    corners = [(1.0, 0.0)]
    for weight in np.linspace(1e-6, 1 - 1e-6, points):
        mixed = weight * p + (1 - weight) * q
        has_p, has_q = p > 0, q > 0
        x = (q[has_q] * np.log(q[has_q] / mixed[has_q])).sum()
        y = (p[has_p] * np.log(p[has_p] / mixed[has_p])).sum()
        corners.append((math.exp(-5 * x), math.exp(-5 * y)))
    x, y = np.array([*corners, (0.0, 1.0)]).T
    return float((np.trapezoid(y[::-1], x[::-1]) + np.trapezoid(x, y)) / 2)


def embeddings(count: int, seed: int, shift: float = 0.0, kept: int = 8) -> Values:
    """Texts about `kept` of eight subjects, (count, 24)."""
    random = np.random.default_rng(seed)
    subjects = np.random.default_rng(7).normal(size=(8, 24))
    return subjects[random.integers(kept, size=count)] + 0.3 * random.normal(size=(count, 24)) + shift


def test_sets_without_a_common_cluster_have_the_area_of_the_beta_function() -> None:
    # KL(P|R) is -log(weight) there, so that the area is the integral of w^5 d(1 - w)^5.
    for scale in (1.0, 2.0, 5.0):
        exact = scale * math.gamma(scale + 1) * math.gamma(scale) / math.gamma(2 * scale + 1)
        assert frontier_area([3, 0, 1], [0, 2, 0], scale) == pytest.approx(exact, rel=1e-12)
    assert frontier_area([1, 0], [0, 1]) == pytest.approx(1 / 252, rel=1e-12)


@examples(30)
@given(COUNTS)
def test_the_area_is_that_of_fine_trapezoids_and_the_same_both_ways(rows: list[tuple[int, int]]) -> None:
    p, q = (np.array(column) / sum(column) for column in zip(*rows, strict=True))
    area = frontier_area(p, q)
    assert area == pytest.approx(by_trapezoids(p, q, 2001), abs=2e-6)
    assert area == pytest.approx(frontier_area(q, p), rel=1e-9)
    assert 1 / 253 < area <= 1
    assert frontier_area(p, p) == pytest.approx(1.0, abs=1e-12)


def test_the_frontier_runs_between_the_axes() -> None:
    points = frontier([1, 1, 0], [0, 1, 1], 5)
    assert len(points) == 5
    assert points[0] == pytest.approx((1.0, 0.0))
    assert points[2] == pytest.approx((2**-2.5, 2**-2.5))
    assert points[-1] == pytest.approx((0.0, 1.0))
    xs, ys = zip(*points, strict=True)
    assert list(xs) == sorted(xs, reverse=True)
    assert list(ys) == sorted(ys)


def test_a_model_that_drops_subjects_or_strays_is_further_away() -> None:
    real = embeddings(600, 0)
    areas = [divergence(real, embeddings(600, 1, kept=kept), clusters=16).area for kept in (8, 6, 4, 2)]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > 0.9
    assert areas[-1] < 0.1
    strayed = [divergence(real, embeddings(600, 1, shift), clusters=16).area for shift in (0.0, 1.0, 3.0)]
    assert strayed == sorted(strayed, reverse=True)


def test_equal_sets_are_as_near_as_pooled_texts_that_are_dealt() -> None:
    found = divergence(embeddings(300, 2), embeddings(300, 3))
    assert found.clusters == 30
    assert abs(found.area - found.same) < 0.05
    # Ten texts a cluster: the bias is to be seen, and smoothing takes some of it away.
    assert found.same < 0.97
    assert found.smoothed > found.area
    assert found.deviation is not None
    assert 0 < found.deviation < 0.05
    assert sum(found.real) == sum(found.generated) == 300
    assert found.frontier(3)[1] == pytest.approx(frontier(found.real, found.generated, 3)[1])


def test_the_same_seed_gives_the_same_digits() -> None:
    real, generated = embeddings(200, 4), embeddings(150, 5).astype(np.float32)
    assert divergence(real, generated, seed=3) == divergence(real, generated.astype(np.float64), seed=3)
    assert divergence(real * 1e200, generated, seed=3).area == pytest.approx(
        divergence(real, generated, seed=3).area
    )


def test_several_clusterings_are_averaged() -> None:
    real, generated = embeddings(200, 4), embeddings(200, 5, kept=6)
    one = divergence(real, generated, clusterings=1)
    assert one.deviation is None
    assert one.area == frontier_area(one.real, one.generated)
    several = divergence(real, generated, clusterings=4)
    assert (several.real, several.generated) == (one.real, one.generated)
    assert several.area != one.area
    with pytest.raises(ValueError, match="at least once"):
        divergence(real, generated, clusterings=0)


def test_copies_and_zeros_are_clustered_too() -> None:
    found = divergence(np.zeros((20, 3)), np.zeros((30, 3)))
    assert [found.area, found.same] == pytest.approx([1.0, 1.0])
    rows = np.repeat(np.eye(3), 5, axis=0)
    assert len(set(kmeans(rows, 3).tolist())) == 3
    assert set(kmeans(rows, 9).tolist()) <= set(range(9))


def test_principal_components_keep_the_share_of_the_variance() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 6)) * [10, 5, 1, 0.1, 0.1, 0.1]
    kept = principal_components(rows, 0.9)
    assert kept.shape == (500, 2)
    assert kept.var(axis=0).sum() >= 0.9 * rows.var(axis=0).sum()
    assert principal_components(rows, 1.0).shape[1] <= 6
    assert np.linalg.norm(directions(rows), axis=1) == pytest.approx(np.ones(500))


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.ones((5, 2)), np.ones((5, 3)), "2 and 3 features"),
        (np.ones((5, 2)), np.ones((1, 2)), "cannot fill 2 clusters"),
        (np.ones((5, 2), np.float16), np.ones((5, 2)), "float16"),
        (np.ones(5), np.ones(5), "shape"),
        (np.array([[1.0], [math.nan]]), np.ones((2, 1)), "1 texts are NaN or infinite, first those of 1"),
    ],
)
def test_what_is_no_set_of_embeddings_is_refused(real: Values, generated: Values, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        divergence(real, generated)


@pytest.mark.parametrize(
    ("p", "q"), [([1, 2], [1]), ([0, 0], [1, 1]), ([-1, 2], [1, 1]), ([math.inf], [1]), ([[1]], [[1]])]
)
def test_what_is_no_pair_of_histograms_is_refused(p: list[float], q: list[float]) -> None:
    with pytest.raises(ValueError, match="histogram"):
        frontier_area(p, q)
    with pytest.raises(ValueError, match="histogram"):
        frontier(p, q)
    with pytest.raises(ValueError, match="2 points"):
        frontier([1], [1], 1)
