"""Tokens of the input replaced by others of their window, singly or in runs; what is to be predicted stays.

Shapes: B samples, T places of a window.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from raygen.models.draws import Draws
from raygen.spec.data.augmentation import SpanMasking, TokenDropout

LEAST = 2.0**-24
"""The smallest difference between uniform numbers; what is less likely does not happen."""


def dropped(spec: TokenDropout, inputs: Tensor, draws: Draws) -> Tensor:
    """Draws the places whose tokens are replaced, (B, T)."""
    return draws.uniform("token dropout", inputs.shape[1]) < spec.share


def masked(spec: SpanMasking, inputs: Tensor, draws: Draws) -> Tensor:
    """Draws the places of runs that are replaced, (B, T)."""
    chance, longer = _runs(spec.share, spec.mean_length)
    # Runs that begin before the window reach into it, so that its beginning is masked as often as the rest.
    before = len(longer) + 1
    starts = draws.uniform("span starts", before + inputs.shape[1]) < chance
    lengths = draws.uniform("span lengths", before + inputs.shape[1])
    table = torch.tensor(longer[::-1], device=inputs.device)
    # Compared with a table, and not computed: a logarithm rounds otherwise from device to device.
    more = len(longer) - torch.searchsorted(table, lengths, right=True)
    places = torch.arange(starts.shape[1], device=inputs.device)
    ends = torch.where(starts, places + 1 + more, 0).cummax(dim=1).values
    return (ends > places)[:, before:]


@cache
def _runs(share: float, mean_length: float) -> tuple[float, tuple[float, ...]]:
    """The probability that a run begins at a place, and those that a run has more than 1, 2, ... tokens."""
    on = 1 - 1 / mean_length
    longer: list[float] = []
    while on and (probability := on ** (len(longer) + 1)) >= LEAST:
        longer.append(probability)
    low, high = 0.0, 1.0
    for _ in range(60):
        chance = (low + high) / 2
        # No run covers a place if none that began there, one before, two before, ... reaches it.
        free = math.prod(1 - chance * probability for probability in (1.0, *longer))
        low, high = (chance, high) if 1 - free < share else (low, chance)
    return low, tuple(longer)


def replaced(inputs: Tensor, places: Tensor, draws: Draws, end_of_text: int | None) -> Tensor:
    """Inputs with the tokens at some places drawn from those before each of them; the first stays.

    Args:
        inputs: (B, T), int64.
        places: Which of them, (B, T).
        draws: Of the samples.
        end_of_text: A token that neither goes nor comes, where there is one.
    """
    before = torch.arange(inputs.shape[1], device=inputs.device)
    numbers = draws.uniform("replacing tokens", inputs.shape[1])
    chosen = torch.minimum((numbers * before).long(), (before - 1).clamp(min=0))
    others = inputs.gather(1, chosen)
    if end_of_text is not None:
        places = places & (inputs != end_of_text) & (others != end_of_text)
    return torch.where(places, others, inputs)
