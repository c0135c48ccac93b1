"""The families by the name that `model.type` gives them. A new family is one folder and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import torch

    from raygen.models.protocol import Domain, Family
    from raygen.spec import TrainingJob

FAMILIES: dict[str, str] = {
    "Custom": "raygen.models.custom",
    "GAN": "raygen.models.gan.family",
    "Transformer": "raygen.models.transformer.family",
    "VAE": "raygen.models.vae.family",
}
"""Name -> module that has `build`, which makes the family."""


class Build(Protocol):
    """Makes a family's networks, with initial weights drawn from the job's seed."""

    def __call__(self, job: TrainingJob, domain: Domain, device: torch.device) -> Family:
        """Makes them on a device."""


def build_family(job: TrainingJob, domain: Domain, device: torch.device) -> Family:
    """Makes the family that `model.type` names.

    Args:
        job: A resolved job.
        domain: What the model must know of its data.
        device: Where the networks are.
    """
    build = cast("Build", import_module(FAMILIES[job.spec.model.type]).build)
    return build(job, domain, device)
