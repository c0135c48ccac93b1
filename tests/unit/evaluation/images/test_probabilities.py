"""Inception-style scores, on probabilities whose scores are plain."""

from __future__ import annotations

import math

import pytest
import torch

from raygen.evaluation.images.probabilities import class_probabilities, classifier_score


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_sure_and_even_scores_as_many_as_there_are_classes(classes: int) -> None:
    found = classifier_score(torch.eye(classes).repeat(20, 1), splits=4, seed=None)
    assert (found.value, found.deviation, found.parts) == (pytest.approx(classes), pytest.approx(0), 4)


def test_one_class_or_no_idea_scores_one() -> None:
    assert classifier_score(torch.eye(4)[[2] * 30]).value == pytest.approx(1)
    assert classifier_score(torch.full((30, 4), 0.25)).value == pytest.approx(1)


def test_a_class_that_never_comes_from_sure_logits_does_no_harm() -> None:
    logits = torch.zeros(90, 10)
    logits[torch.arange(90), torch.arange(90) % 9] = 1000
    assert classifier_score(class_probabilities(logits), splits=1).value == pytest.approx(9)


def test_parts_are_scored_by_themselves() -> None:
    probabilities = torch.tensor([[1.0, 0], [0, 1], [1, 0], [1, 0], [1, 0]])
    found = classifier_score(probabilities, splits=2, seed=None)
    # The first 2 are both classes; the other 3 one.
    assert found.value == pytest.approx(1.5)
    assert found.deviation == pytest.approx(0.5)


def test_the_order_follows_from_the_seed_and_random_numbers_of_others_are_left_alone() -> None:
    probabilities = class_probabilities(torch.randn(60, 5, generator=torch.Generator().manual_seed(0)))
    before = torch.get_rng_state()
    assert classifier_score(probabilities, seed=1) == classifier_score(probabilities, seed=1)
    assert classifier_score(probabilities, seed=1) != classifier_score(probabilities, seed=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_probabilities_are_in_float64() -> None:
    found = class_probabilities(torch.tensor([[0.0, 120.0]]))
    assert found[0, 0].item() == pytest.approx(math.exp(-120))


@pytest.mark.parametrize("values", [[0.5, 0.6], [1.5, -0.5], [0.0, 0.0]])
def test_what_is_no_probability_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="do not add up to 1"):
        classifier_score(torch.tensor([values]), splits=1)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_fewer_samples_than_parts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"at least 10 samples are needed, not {count}"):
        classifier_score(torch.full((count, 2), 0.5))
