from __future__ import annotations

import math

import pytest
import torch

from raygen.models.vae.likelihood import Bernoulli, DiscretisedLogistic, Gaussian

SIGMA = torch.tensor(-1.0)


def test_a_discretised_logistic_is_a_distribution_over_256_levels() -> None:
    kind = DiscretisedLogistic()
    levels = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1)
    target = kind.target(levels, None)
    for mean, log_scale in ((0.0, -2.0), (-0.99, -4.0), (0.9, -6.5), (3.0, 0.5), (0.2, -20.0)):
        outputs = torch.tensor([mean, log_scale]).reshape(1, 2, 1, 1).expand(256, 2, 1, 1)
        log_prob = kind.log_prob(outputs, target, SIGMA)
        assert bool(log_prob.isfinite().all())
        assert float(log_prob.exp().sum()) == pytest.approx(1, abs=2e-3)


def test_the_gaussian_is_the_normal_density_with_a_deviation_bounded_from_below() -> None:
    kind = Gaussian()
    images = torch.randint(256, (3, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    target, outputs = kind.target(images, None), torch.rand(3, 1, 2, 2)
    sigma = math.exp(-6 + math.log1p(math.exp(5.0)))
    expected = torch.distributions.Normal(outputs, sigma).log_prob(target).sum(dim=(1, 2, 3))
    torch.testing.assert_close(kind.log_prob(outputs, target, SIGMA), expected)
    assert bool(kind.log_prob(target, target, torch.tensor(-100.0)).isfinite().all())


def test_a_bernoulli_sees_levels_a_draw_or_a_threshold() -> None:
    images = torch.tensor([0, 100, 128, 255], dtype=torch.uint8).reshape(1, 1, 2, 2)
    uniform = torch.tensor([0.0, 0.5, 0.4, 0.99]).reshape(1, 1, 2, 2)
    assert Bernoulli("GreyLevels").target(images, None).flatten().tolist() == pytest.approx(
        [0, 100 / 255, 128 / 255, 1]
    )
    assert Bernoulli("Dynamic").target(images, uniform).flatten().tolist() == [0, 0, 1, 1]
    assert Bernoulli("Threshold").target(images, None).flatten().tolist() == [0, 0, 1, 1]


def test_a_bernoullis_log_probability_is_that_of_the_definition() -> None:
    logits, target = (
        torch.tensor([0.3, -2.0]).reshape(1, 1, 1, 2),
        torch.tensor([1.0, 0.25]).reshape(1, 1, 1, 2),
    )
    p = torch.sigmoid(logits)
    expected = (target * p.log() + (1 - target) * (1 - p).log()).sum()
    torch.testing.assert_close(Bernoulli("GreyLevels").log_prob(logits, target, SIGMA), expected[None])
