"""Bounds of the log-likelihood.

Shapes: N samples, K draws per sample, D latent variables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Posterior:
    """A diagonal normal distribution of the latent variables of each sample.

    Attributes:
        mean: (N, D).
        log_variance: (N, D).
    """

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Latent variables from standard normal noise (N, ..., D) (Kingma & Welling 2014, eq. 9 and 10)."""
        extra = (1,) * (noise.ndim - 2)
        mean = self.mean.reshape(len(self.mean), *extra, -1)
        deviation = torch.exp(0.5 * self.log_variance).reshape(len(self.mean), *extra, -1)
        return mean + deviation * noise

    def kl(self) -> Tensor:
        """Divergence from the standard normal, (N, D), in nats (Kingma & Welling 2014, appendix B)."""
        return -0.5 * (1 + self.log_variance - self.mean.square() - self.log_variance.exp())


def posterior_of(encoded: Tensor) -> Posterior:
    """Mean and log-variance, side by side in (N, 2 D)."""
    mean, log_variance = encoded.float().chunk(2, dim=1)
    return Posterior(mean, log_variance)


def free_bits(kl: Tensor, mean: Tensor, floor: float) -> Tensor:
    """The divergence of each sample, where variables below the floor count as it (Kingma et al. 2016, eq. 15).

    Args:
        kl: (N, D), of some samples of a step.
        mean: (D,), averaged over all samples of the step, so that no cutting of the step into parts changes it.
        floor: In nats per variable; what is below it has no gradient.

    Returns:
        (N,); averaged over the step's samples it is the sum of max(floor, mean) over the variables.
    """
    return torch.where(mean > floor, kl, floor).sum(dim=1)


def log_weights(log_likelihood: Tensor, noise: Tensor, latents: Tensor, posterior: Posterior) -> Tensor:
    """Log p(x | z) + log p(z) - log q(z | x) for each draw, (N, K) (Burda et al. 2016, section 3).

    Args:
        log_likelihood: (N, K).
        noise: (N, K, D), what the latents were drawn from.
        latents: (N, K, D).
        posterior: q.
    """
    prior = -0.5 * latents.square().sum(dim=2)
    # The constants of prior and posterior cancel.
    own = -0.5 * (noise.square().sum(dim=2) + posterior.log_variance.sum(dim=1, keepdim=True))
    return log_likelihood + prior - own


def importance_bound(weights: Tensor) -> Tensor:
    """The logarithm of the mean weight of each sample, (N,) (Burda et al. 2016, eq. 8).

    Args:
        weights: Logarithms, (N, K).
    """
    return weights.logsumexp(dim=1) - math.log(weights.shape[1])
