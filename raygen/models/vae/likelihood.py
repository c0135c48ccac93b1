"""Log-likelihoods of images given what a decoder puts out.

Shapes: N samples, K draws (both may be one dimension), P numbers per pixel.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 256


class Likelihood(ABC):
    """A distribution of images.

    Attributes:
        parameters: Numbers that the decoder puts out per pixel and channel.
        has_deviation: Whether it learns a deviation besides.
    """

    parameters = 1
    has_deviation = False

    @abstractmethod
    def target(self, images: Tensor, uniform: Tensor | None) -> Tensor:
        """Images, uint8 (N, C, H, W), as the numbers that encoder and likelihood see.

        Args:
            images: The images.
            uniform: Uniform numbers of the same shape, where the target is drawn.
        """

    @abstractmethod
    def log_prob(self, outputs: Tensor, target: Tensor, log_sigma: Tensor | None) -> Tensor:
        """Log-likelihood of each image in nats, (N,).

        Args:
            outputs: The decoder's, (N, P x C, H, W).
            target: (N, C, H, W).
            log_sigma: Logarithm of the deviation; None for those that have none.
        """

    @abstractmethod
    def mean(self, outputs: Tensor) -> Tensor:
        """Expected image, from 0 to 1, (N, C, H, W)."""


class Bernoulli(Likelihood):
    """Black or white pixels, or grey levels in place of their probability (Kingma & Welling 2014, appendix C.1).

    Args:
        binarisation: GreyLevels, Dynamic or Threshold.
    """

    def __init__(self, binarisation: str) -> None:
        self.draws = binarisation == "Dynamic"
        self._threshold = binarisation == "Threshold"

    def target(self, images: Tensor, uniform: Tensor | None) -> Tensor:
        """Levels from 0 to 1, or black and white."""
        if self._threshold:
            return (images >= LEVELS // 2).float()
        levels = images.float().div_(LEVELS - 1)
        return (uniform < levels).float() if uniform is not None else levels

    def log_prob(self, outputs: Tensor, target: Tensor, log_sigma: Tensor | None) -> Tensor:  # noqa: ARG002
        """Negative cross-entropy, from logits."""
        losses = F.binary_cross_entropy_with_logits(outputs.float(), target, reduction="none")
        return -losses.flatten(1).sum(dim=1)

    def mean(self, outputs: Tensor) -> Tensor:
        """The probability of white."""
        return outputs.float().sigmoid()


class Gaussian(Likelihood):
    """Independent normal pixels with one learned deviation (sigma-VAE: Rybkin et al. 2021, eq. 5)."""

    has_deviation = True

    def target(self, images: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """Levels from 0 to 1."""
        return images.float().div_(LEVELS - 1)

    def log_prob(self, outputs: Tensor, target: Tensor, log_sigma: Tensor | None) -> Tensor:
        """Log-density of levels from 0 to 1."""
        if log_sigma is None:
            raise ValueError("a Gaussian likelihood needs its deviation")
        # Softly bounded from below, as the authors do, so that the density cannot grow without end.
        log_sigma = -6 + F.softplus(log_sigma + 6)
        scaled = (target - outputs.float()) / log_sigma.exp()
        each = -0.5 * scaled.square() - log_sigma - 0.5 * math.log(2 * math.pi)
        return each.flatten(1).sum(dim=1)

    def mean(self, outputs: Tensor) -> Tensor:
        """The mean, cut to 0..1."""
        return outputs.float().clamp(0, 1)


class DiscretisedLogistic(Likelihood):
    """A logistic distribution cut into the 256 levels (Kingma et al. 2016, eq. 12; edges as in Salimans et al. 2017)."""

    parameters = 2

    def target(self, images: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """Levels from -1 to 1."""
        return images.float().div_((LEVELS - 1) / 2).sub_(1)

    def log_prob(self, outputs: Tensor, target: Tensor, log_sigma: Tensor | None) -> Tensor:  # noqa: ARG002
        """Log-probability of the levels."""
        mean, log_scale = outputs.float().chunk(2, dim=1)
        log_scale = log_scale.clamp(min=-7)
        half = 1 / (LEVELS - 1)
        centred, scale = target - mean, torch.exp(-log_scale)
        above, below = (centred + half) * scale, (centred - half) * scale
        # log(sigmoid(a) - sigmoid(b)), without a difference of nearly equal numbers.
        inner = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(below - above))
        lowest = F.logsigmoid(above)
        highest = F.logsigmoid(-below)
        each = torch.where(target < -0.999, lowest, torch.where(target > 0.999, highest, inner))
        return each.flatten(1).sum(dim=1)

    def mean(self, outputs: Tensor) -> Tensor:
        """The mean, from -1..1 to 0..1."""
        return outputs.float().chunk(2, dim=1)[0].add(1).div(2).clamp(0, 1)


def make_likelihood(name: str, binarisation: str | None) -> Likelihood:
    """The likelihood that a job names; with a binarisation exactly for a Bernoulli."""
    if name == "Bernoulli":
        if binarisation is None:
            raise ValueError("a Bernoulli needs a binarisation")
        return Bernoulli(binarisation)
    return Gaussian() if name == "Gaussian" else DiscretisedLogistic()
