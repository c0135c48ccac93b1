"""The bounds that VAEs are compared by, written apart from raygen's own evaluation.

Everything is in nats per image. The likelihood is a Bernoulli; the encoder gives mean and log-variance side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

Encode = Callable[[Tensor], Tensor]
"""Images (N, 1, H, W) to mean and log-variance (N, 2 D)."""
Decode = Callable[[Tensor], Tensor]
"""Latent variables (N, D) to logits (N, 1, H, W)."""


def binarised(images: Tensor, seed: int) -> Tensor:
    """Black and white images, (N, 1, H, W), with the levels (uint8) as probabilities of white."""
    return torch.bernoulli(images.float() / 255, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def negative_elbo(encode: Encode, decode: Decode, images: Tensor, seed: int) -> float:
    """Mean negative evidence lower bound of images (N, 1, H, W) from 0 to 1: one draw each, analytic divergence.

    Grey levels are taken as probabilities, as a cross-entropy does.
    """
    generator, total = torch.Generator().manual_seed(seed), 0.0
    for part in images.split(1000):
        mean, log_variance = encode(part).chunk(2, dim=1)
        deviation = (log_variance / 2).exp()
        latents = mean + deviation * torch.randn(mean.shape, generator=generator)
        likelihood = Bernoulli(logits=decode(latents).flatten(1), validate_args=False)
        fit = likelihood.log_prob(part.flatten(1)).sum(dim=1)
        divergence = torch.distributions.kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(dim=1)
        total += float((divergence - fit).double().sum())
    return total / len(images)


@torch.inference_mode()
def negative_log_likelihood(
    encode: Encode, decode: Decode, images: Tensor, draws: int, seed: int
) -> tuple[float, float]:
    """Mean negative log-likelihood by importance sampling (Burda et al. 2016, eq. 8), and its standard error.

    Args:
        encode: The encoder.
        decode: The decoder.
        images: Black and white, (N, 1, H, W).
        draws: Per image.
        seed: Of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for image in images.split(1):
        mean, log_variance = encode(image).chunk(2, dim=1)
        posterior, prior = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
        latents = mean + posterior.stddev * torch.randn((draws, mean.shape[1]), generator=generator)
        likelihood = Bernoulli(logits=decode(latents).flatten(1), validate_args=False)
        weights = (
            likelihood.log_prob(image.flatten(1)).sum(dim=1)
            + prior.log_prob(latents).sum(dim=1)
            - posterior.log_prob(latents).sum(dim=1)
        )
        losses.append(math.log(draws) - weights.double().logsumexp(dim=0))
    found = torch.stack(losses)
    error = found.std() / math.sqrt(len(found)) if len(found) > 1 else torch.tensor(math.nan)
    return float(found.mean()), float(error)
