"""The generative adversarial network: its networks, loss and regularisation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from raygen.spec.base import Spec


class GAN(Spec):
    """A generative adversarial network of images (Goodfellow et al. 2014)."""

    latent_size: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Number of latent variables that an image is made from."""
