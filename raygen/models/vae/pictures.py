"""What a VAE shows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from raygen.models.draws import Draws
from raygen.models.pictures import grid
from raygen.models.protocol import Sample, SampleRequest

if TYPE_CHECKING:
    from raygen.models.vae.family import VAEFamily

STEPS = 8
"""Images from one end of an interpolation to the other."""


def make_pictures(family: VAEFamily, request: SampleRequest) -> list[Sample]:
    """Samples, interpolations and reconstructions as PNG grids, as far as the family can."""
    made = []
    drawn = family.generate(request, range(request.count))
    if drawn:
        device = drawn["images"].device
        made.append(Sample(prompt="samples", png=grid(drawn["images"])))
        rows = max(min(request.count // 2, 8), 1)
        ends = Draws((request.seed,), range(2 * rows), device).normal("ends", family.vae.latent_size)
        path = torch.cat([spherical(ends[2 * row], ends[2 * row + 1], STEPS) for row in range(rows)])
        made.append(Sample(prompt="interpolations", png=grid(family.decode(path), columns=STEPS)))
    if family.shown is not None:
        both = torch.stack([family.shown, family.reconstruct(family.shown)])
        columns = min(len(family.shown), 8)
        # Rows of originals, each above its reconstructions.
        rows_of = [part for some in torch.split(both, columns, dim=1) for part in some]
        made.append(Sample(prompt="reconstructions", png=grid(torch.cat(rows_of), columns=columns)))
    return made


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points on the great circle between two normal vectors (White 2016), (steps, D).

    Unlike a straight line they keep the length that normal vectors of many dimensions have.
    """
    cosine = torch.dot(start, end) / (start.norm() * end.norm())
    angle = cosine.clamp(-0.9999, 0.9999).acos()
    shares = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (torch.sin((1 - shares) * angle) * start + torch.sin(shares * angle) * end) / torch.sin(angle)
