"""Shares, neighbourhoods and near copies, on sets whose answers are plain."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from raygen.evaluation.images import pairs
from raygen.evaluation.images.features import (
    class_shares,
    kth_distances,
    mean_confidence,
    near_copy_share,
    nearest_distances,
    neighbourhood,
)


def normal(count: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def line(*places: float) -> Tensor:
    return torch.tensor(places, dtype=torch.float32)[:, None]


def test_the_kth_neighbour_is_another_sample() -> None:
    assert kth_distances(line(0, 1, 3, 7), 1).tolist() == [1, 1, 2, 4]
    assert kth_distances(line(0, 1, 3, 7), 2).tolist() == [3, 2, 3, 6]


def test_nearest_distances() -> None:
    assert nearest_distances(line(0.5, 10, -2), line(0, 1, 8)).tolist() == [0.5, 2, 2]


def test_neighbourhood_by_hand() -> None:
    # Balls of the real ones with k = 1: (-1, 1), (0, 2), (8, 12), (10, 14); of the generated: radius 0.5 at 0.25
    # and 0.75, 99.25 at 100.
    found = neighbourhood(line(0, 1, 10, 12), line(0.25, 0.75, 100), k=1)
    assert found.precision == pytest.approx(2 / 3)
    assert found.density == pytest.approx(4 / 3)
    assert found.coverage == pytest.approx(2 / 4)
    # 0 and 1 lie near 0.25 and 0.75; 1 upwards lies in the wide ball of 100 too.
    assert found.recall == 1


def test_equal_sets_overlap_and_distant_ones_do_not() -> None:
    real = normal(300, 4, 0)
    same = neighbourhood(real, real.clone())
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    far = neighbourhood(real, normal(300, 4, 1) + 100)
    shares = {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    assert far.values() == shares | {"real_copies": 0, "fake_copies": 0}


def test_one_lost_mode_lowers_recall_and_coverage_but_not_precision() -> None:
    modes = torch.cat([normal(200, 3, 0), normal(200, 3, 1) + 50])
    collapsed = neighbourhood(modes, normal(400, 3, 2))
    assert collapsed.precision > 0.9
    assert collapsed.recall <= 0.5
    assert collapsed.coverage <= 0.5


def test_sets_too_small_for_k() -> None:
    with pytest.raises(ValueError, match="sets of 6 and 5 samples are too small for neighbours up to 5"):
        neighbourhood(normal(6, 2, 0), normal(5, 2, 1), k=5)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_a_generator_of_copies_has_balls_without_radius_however_far_from_0(scale: float) -> None:
    real = normal(60, 16, 0).double()
    copies = real.repeat(10, 1)
    found = neighbourhood(scale * real + 1000, scale * copies + 1000, k=5)
    assert (found.precision, found.coverage, found.recall) == (1, 1, 0)
    assert (found.real_copies, found.fake_copies) == (0, 1)


@pytest.mark.parametrize(("real", "fake"), [(1, 1), (0, 9), (9, 0)])
def test_one_sample_or_none_has_no_neighbourhood(real: int, fake: int) -> None:
    with pytest.raises(ValueError, match="too small for neighbours up to 5"):
        neighbourhood(normal(real, 2, 0), normal(fake, 2, 1))


def test_samples_of_one_constant_image_lie_in_no_ball() -> None:
    found = neighbourhood(torch.ones(9, 3), torch.ones(9, 3))
    assert found.values() == {
        **dict.fromkeys(("precision", "recall", "density", "coverage"), 0),
        "real_copies": 1,
        "fake_copies": 1,
    }


def test_cutting_into_tiles_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(90, 3, 0), normal(70, 3, 1)
    whole = neighbourhood(real, fake), nearest_distances(fake, real)
    monkeypatch.setattr(pairs, "TILE", 16)
    parts = neighbourhood(real, fake), nearest_distances(fake, real)
    assert parts[0] == whole[0]
    torch.testing.assert_close(parts[1], whole[1])


def test_copies_are_found_among_new_samples() -> None:
    known, new = normal(500, 8, 0), normal(200, 8, 1)
    threshold = nearest_distances(new, known).quantile(0.01).item()
    copied = torch.cat([normal(150, 8, 2), known[:50] + 1e-3])
    assert near_copy_share(nearest_distances(new, known), threshold) <= 0.01
    assert near_copy_share(nearest_distances(copied, known), threshold) == pytest.approx(0.25, abs=0.02)


def test_a_distance_at_the_threshold_is_no_copy() -> None:
    assert near_copy_share(torch.tensor([1.0, 2.0, 3.0, 4.0]), 2.0) == 0.25


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_class_shares_count(labels: list[int]) -> None:
    shares = class_shares(torch.eye(10)[torch.tensor(labels)])
    assert shares.shape == (10,)
    assert shares.sum().item() == pytest.approx(1)
    for label in range(10):
        assert shares[label].item() == pytest.approx(labels.count(label) / len(labels))


def test_confidence_is_that_of_the_chosen_class() -> None:
    assert mean_confidence(torch.tensor([[0.9, 0.1], [0.4, 0.6]])) == pytest.approx(0.75)
