"""The variational autoencoder: its networks, likelihood and bound."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from raygen.spec.base import Spec


class VAE(Spec):
    """A variational autoencoder of images (Kingma & Welling 2014)."""

    latent_size: Annotated[int, Field(ge=1, le=65_536)]
    """Number of latent variables."""
