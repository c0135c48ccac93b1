"""Diversity, on sets whose answers are plain."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.evaluation.images import pairs
from raygen.evaluation.images.diversity import mean_pairwise_distance, vendi_score
from tests.budget import examples


def normal(count: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_mean_distance_by_hand() -> None:
    assert mean_pairwise_distance(torch.tensor([[0.0], [1.0], [3.0]])) == pytest.approx(2)
    assert mean_pairwise_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0]])) == pytest.approx(5)


def test_the_mean_distance_is_that_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    features = normal(83, 5, 0)
    expected = float(torch.pdist(features).mean())
    assert mean_pairwise_distance(features) == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(pairs, "TILE", 11)
    assert mean_pairwise_distance(features + 1000) == pytest.approx(expected, rel=1e-9)


@examples(20)
@given(st.integers(1, 8), st.integers(1, 5))
def test_groups_of_equal_samples_with_nothing_in_common_count_as_one_each(groups: int, copies: int) -> None:
    features = torch.eye(8)[:groups].repeat(copies, 1) * torch.linspace(0.5, 2, groups * copies)[:, None]
    assert vendi_score(features) == pytest.approx(groups)


def test_shares_of_groups_have_their_entropy() -> None:
    features = torch.eye(3)[[0, 0, 0, 1, 1, 2]]
    entropy = -sum(share * math.log(share) for share in (1 / 2, 1 / 3, 1 / 6))
    assert vendi_score(features) == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize(("count", "dimensions"), [(40, 3), (3, 40), (9, 8), (8, 9)])
def test_it_is_the_entropy_of_the_similarities_on_either_side(count: int, dimensions: int) -> None:
    features = normal(count, dimensions, 0)
    unit = torch.nn.functional.normalize(features)
    shares = torch.linalg.eigvalsh(unit @ unit.T / count).clamp(min=1e-300)
    assert vendi_score(features) == pytest.approx(float((-(shares * shares.log()).sum()).exp()), rel=1e-9)


def test_fewer_modes_are_less_diverse() -> None:
    centres = 10 * normal(10, 32, 0)
    found = [vendi_score(centres[torch.arange(600) % modes] + normal(600, 32, 1)) for modes in (10, 5, 1)]
    assert found == sorted(found, reverse=True)


def test_constant_images_have_no_diversity() -> None:
    for constant in (torch.ones(9, 4), torch.zeros(9, 4), torch.full((9, 4), 1e-30)):
        assert mean_pairwise_distance(constant) == 0
        assert vendi_score(constant) == pytest.approx(1)
    assert vendi_score(torch.tensor([[0.0, 0.0], [1.0, 0.0]])) == pytest.approx(2)


def test_one_sample_or_none() -> None:
    assert vendi_score(torch.ones(1, 3)) == pytest.approx(1)
    with pytest.raises(ValueError, match="at least 1 samples are needed, not 0"):
        vendi_score(torch.ones(0, 3))
    with pytest.raises(ValueError, match="at least 2 samples are needed, not 1"):
        mean_pairwise_distance(torch.ones(1, 3))
