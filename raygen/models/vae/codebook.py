"""Discrete latent variables with a codebook of moving averages.

Shapes: N samples, D channels of a code, K codes, M = N x h x w places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygen.models.draws import Draws
from raygen.models.protocol import Workers
from raygen.spec import Codebook as Settings

EPSILON = 1e-5
"""Smooths the codes' counts (van den Oord et al. 2017, appendix A.1), so that no code divides by zero."""


@dataclass
class Usage:
    """What one step's places say about the codes.

    Attributes:
        counts: Places that took each code, (K,).
        sums: Their vectors added up, (K, D).
        candidates: For each code a vector of the batch that may replace it, (K, D); zero where this worker has none.
    """

    counts: Tensor
    sums: Tensor
    candidates: Tensor


class Codebook(nn.Module):
    """The nearest code of each vector (van den Oord et al. 2017, eq. 1 and 2; moving averages: appendix A.1).

    Its codes are buffers: no gradient, but a part of the checkpoint.
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, settings: Settings, channels: int) -> None:
        super().__init__()
        self.settings = settings
        codes = torch.randn(settings.size, channels)
        self.register_buffer("codes", codes)
        self.register_buffer("counts", torch.ones(settings.size))
        self.register_buffer("sums", codes.clone())

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Replaces vectors by their nearest codes.

        Args:
            encoded: (N, D, h, w).

        Returns:
            The codes (N, D, h, w), with the gradient of `encoded` (straight through); the commitment loss of each
            sample (N,): the mean over its places of the squared distance; and the chosen codes' numbers (M,).
        """
        vectors = encoded.float().movedim(1, -1).reshape(-1, encoded.shape[1])
        distances = self.codes.square().sum(dim=1) - 2 * vectors.detach() @ self.codes.T
        chosen = distances.argmin(dim=1)
        height, width = encoded.shape[2:]
        found = self.codes[chosen].reshape(len(encoded), height, width, -1).movedim(-1, 1)
        commitment = (encoded.float() - found).square().sum(dim=1).mean(dim=(1, 2))
        return encoded + (found - encoded).detach(), commitment, chosen

    @torch.no_grad()
    def usage(self, encoded: Tensor, chosen: Tensor, draws: Draws, batch: int) -> Usage:
        """What these places say about the codes.

        Args:
            encoded: (N, D, h, w).
            chosen: The codes' numbers (M,).
            draws: Those of the samples; their key is the step's.
            batch: Samples of the step over all workers.
        """
        vectors = encoded.float().movedim(1, -1).reshape(-1, encoded.shape[1])
        taken = F.one_hot(chosen, self.settings.size).to(vectors.dtype)
        places = len(vectors) // len(encoded)
        # For every code one place of the whole step, the same for any number of workers.
        drawing = Draws(draws.key, range(self.settings.size), draws.device)
        slots = drawing.integers("revived slot", batch) - draws.samples.start
        offsets = drawing.integers("revived place", places)
        mine = (slots >= 0) & (slots < len(encoded))
        candidates = vectors[slots.clamp(0, len(encoded) - 1) * places + offsets]
        return Usage(taken.sum(dim=0), taken.T @ vectors, candidates * mine[:, None])

    @torch.no_grad()
    def update(self, usages: list[Usage], workers: Workers) -> Tensor:
        """Moves the codes towards the vectors that took them, and revives those that nobody takes.

        Returns:
            Perplexity of the codes in this step, a scalar: how many are used evenly.
        """
        counts, sums, candidates = workers.sum(
            torch.stack([usage.counts for usage in usages]).sum(dim=0),
            torch.stack([usage.sums for usage in usages]).sum(dim=0),
            torch.stack([usage.candidates for usage in usages]).sum(dim=0),
        )
        self.counts.lerp_(counts, 1 - self.settings.decay)
        self.sums.lerp_(sums, 1 - self.settings.decay)
        dead = self.counts < self.settings.revive_below
        self.counts.copy_(torch.where(dead, max(self.settings.revive_below, 1.0), self.counts))
        self.sums.copy_(torch.where(dead[:, None], candidates * self.counts[:, None], self.sums))
        total = self.counts.sum()
        smooth = (self.counts + EPSILON) / (total + len(self.counts) * EPSILON) * total
        self.codes.copy_(self.sums / smooth[:, None])
        shares = counts / counts.sum()
        return torch.exp(-(shares * shares.clamp(min=1e-10).log()).sum())
