"""Makes the model that a job describes, by the table of families in `raygen.spec.families.table`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import torch

    from raygen.models.protocol import Domain, Family
    from raygen.spec import ResolvedJob


class Build(Protocol):
    """Makes a family's networks, with initial weights drawn from the job's seed."""

    def __call__(self, job: ResolvedJob, domain: Domain, device: torch.device) -> Family:
        """Makes them on a device."""


def build_family(job: ResolvedJob, domain: Domain, device: torch.device) -> Family:
    """Makes the family that `model.type` names.

    Args:
        job: A resolved job.
        domain: What the model must know of its data.
        device: Where the networks are.
    """
    named = job.spec.model.family
    family = cast("Build", import_module(named.module).build)(job, domain, device)
    if named.networks and tuple(family.networks) != named.networks:
        raise TypeError(f"{named.module} makes {tuple(family.networks)}, and the job names {named.networks}")
    return family
