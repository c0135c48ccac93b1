"""The most suspicious samples beside the training images that they are nearest to, to look at."""

from __future__ import annotations

import torch
from torch import Tensor

from raygen.evaluation.memorisation.copies import Copies
from raygen.models.pictures import grid

PAIRS_IN_A_ROW = 5


def picture(copies: Copies, generated: Tensor, training: Tensor, count: int = 25) -> bytes:
    """Pairs of a sample and its nearest training image to the right of it, the most suspicious first, row by row, as one PNG.

    Args:
        copies: What `find_copies` found of them.
        generated: uint8 (M, C, H, W), with one channel or three.
        training: uint8 (N, C, H, W).
        count: How many pairs; fewer if there are fewer samples.

    Raises:
        ValueError: the images are others than those of `copies`.
    """
    if len(generated) != len(copies.nearest) or int(copies.nearest.max()) >= len(training):
        raise ValueError("copies were looked for in other images than these")
    if count < 1:
        raise ValueError(f"a picture of {count} pairs cannot be drawn")
    chosen = copies.most_suspicious(count)
    pairs = torch.stack([generated[chosen], training[copies.nearest[chosen]]], dim=1)
    return grid(pairs.flatten(0, 1), columns=2 * min(PAIRS_IN_A_ROW, len(chosen)))
