"""Losses of a GAN per image, from the discriminator's scores; larger scores mean real.

Shapes: N images; all scores and losses are (N,).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Loss(Protocol):
    """What both networks minimise. Scores at the same place belong to one sample of the step.

    Attributes:
        needs_real: Whether the generator's loss depends on the real scores.
        anchored: Whether 0 parts real from generated scores; if not, only their differences mean something.
    """

    needs_real: bool
    anchored: bool

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss."""

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's loss; `real` has no gradient."""


class NonSaturating:
    """Goodfellow et al. 2014, eq. 1 with the generator's alternative of section 3; softplus(x) = -log sigmoid(-x)."""

    needs_real = False
    anchored = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-log D(x) - log(1 - D(G(z)))."""
        return F.softplus(-real) + F.softplus(fake)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG002
        """-log D(G(z))."""
        return F.softplus(-fake)


class Hinge:
    """Lim & Ye 2017, as in Miyato et al. 2018, eq. 16 and 17."""

    needs_real = False
    anchored = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """max(0, 1 - D(x)) + max(0, 1 + D(G(z)))."""
        return F.relu(1 - real) + F.relu(1 + fake)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG002
        """-D(G(z))."""
        return -fake


class Wasserstein:
    """Arjovsky et al. 2017, eq. 2; its Lipschitz condition is the gradient penalty's task."""

    needs_real = False
    anchored = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """D(G(z)) - D(x)."""
        return fake - real

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG002
        """-D(G(z))."""
        return -fake


class Relativistic:
    """Relativistic pairing GAN (Jolicoeur-Martineau 2019), as in R3GAN (Huang et al. 2024, eq. 2)."""

    needs_real = True
    anchored = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """softplus(-(D(x) - D(G(z))))."""
        return F.softplus(fake - real)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """softplus(-(D(G(z)) - D(x)))."""
        return F.softplus(real - fake)


LOSSES: dict[str, Loss] = {
    "NonSaturating": NonSaturating(),
    "Hinge": Hinge(),
    "Wasserstein": Wasserstein(),
    "Relativistic": Relativistic(),
}


def squared_gradients(scores: Tensor, images: Tensor) -> Tensor:
    """|gradient of each score by its image|^2, (N,), with a gradient of its own.

    Args:
        scores: (N,), each from its own image alone.
        images: (N, C, H, W), which require a gradient.
    """
    (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradients.float().square().flatten(1).sum(dim=1)


def between(real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Images on the straight line between real and generated ones (Gulrajani et al. 2017, algorithm 1).

    Args:
        real: (N, C, H, W).
        fake: The same.
        shares: Of the real one, (N,).
    """
    return torch.lerp(fake, real, shares[:, None, None, None])
