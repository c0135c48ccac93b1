from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from raygen.models.vae.bound import Posterior, free_bits, importance_bound, log_weights, posterior_of


def normal_log_prob(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return -0.5 * ((x - mean) ** 2 / variance + variance.log() + math.log(2 * math.pi))


def posterior(samples: int = 5, latents: int = 3) -> Posterior:
    generator = torch.Generator().manual_seed(0)
    return posterior_of(torch.randn(samples, 2 * latents, generator=generator))


def test_the_divergence_is_that_of_the_definition() -> None:
    q = posterior()
    draws = q.draw(torch.randn(5, 200_000, 3, generator=torch.Generator().manual_seed(1)))
    own = normal_log_prob(draws, q.mean[:, None], q.log_variance.exp()[:, None])
    prior = normal_log_prob(draws, torch.zeros(()), torch.ones(()))
    torch.testing.assert_close((own - prior).mean(dim=1), q.kl(), rtol=0.02, atol=0.02)


def test_weights_are_those_of_the_definition() -> None:
    q = posterior()
    noise = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(1))
    latents = q.draw(noise)
    fit = torch.randn(5, 7, generator=torch.Generator().manual_seed(2))
    own = normal_log_prob(latents, q.mean[:, None], q.log_variance.exp()[:, None]).sum(dim=2)
    prior = normal_log_prob(latents, torch.zeros(()), torch.ones(())).sum(dim=2)
    torch.testing.assert_close(log_weights(fit, noise, latents, q), fit + prior - own, rtol=1e-4, atol=1e-4)


def test_the_importance_bound_is_a_mean_of_weights_and_never_below_the_mean_of_logarithms() -> None:
    weights = 3 * torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
    bound = importance_bound(weights)
    torch.testing.assert_close(bound, weights.exp().mean(dim=1).log())
    assert bool((bound >= weights.mean(dim=1)).all())


def test_a_linear_model_has_its_exact_likelihood() -> None:
    """z ~ N(0, 1), x ~ N(2 z, 0.5): the marginal is N(0, 4.5), and a posterior that is off still finds it."""
    x = torch.tensor([[0.3], [-2.0], [4.0]], dtype=torch.float64)
    exact = normal_log_prob(x, torch.zeros(()), torch.tensor(4.5)).sum(dim=1)
    true = Posterior(x * 2 / 4.5, torch.full_like(x, math.log(0.5 / 4.5)))
    off = Posterior(true.mean + 0.2, true.log_variance + 0.5)
    for q, tolerance in ((true, 1e-6), (off, 0.02)):
        noise = torch.randn(3, 20_000, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        latents = q.draw(noise)
        fit = normal_log_prob(x[:, None], 2 * latents, torch.tensor(0.5)).sum(dim=2)
        bound = importance_bound(log_weights(fit, noise, latents, q))
        torch.testing.assert_close(bound, exact, rtol=0, atol=tolerance)


def test_free_bits_cost_nothing_below_the_floor() -> None:
    kl = torch.tensor([[0.1, 2.0], [0.3, 4.0]], requires_grad=True)
    cost = free_bits(kl, kl.detach().mean(dim=0), 0.5).mean()
    assert float(cost.detach()) == pytest.approx(0.5 + 3.0)
    torch.autograd.backward(cost)
    assert kl.grad is not None
    assert kl.grad.tolist() == [[0.0, 0.5], [0.0, 0.5]]
