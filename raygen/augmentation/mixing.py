"""Two images in one: MixUp (Zhang et al. 2018) and CutMix (Yun et al. 2019), as torchvision defines them.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.augmentation.change import Box, drawn, each, inside, on_device, whole
from raygen.models.draws import Draws
from raygen.spec.data.augmentation import Mixing

LABELS, MIXED_LABELS, LABEL_SHARES = "labels", "mixed_labels", "label_shares"
"""What a batch has of its classes, as `raygen.spec.contents` says."""


@dataclass(frozen=True)
class Mixtures:
    """How the images of a batch are mixed with others.

    Attributes:
        shares: Share of each image that stays, (N,).
        boxes: What comes from the other one; None where all of it does, by the shares.
    """

    shares: Sequence[float]
    boxes: Sequence[Box] | None = None

    def of(self, images: Tensor, others: Tensor) -> Tensor:
        """Images mixed with others, both (N, C, H, W)."""
        if self.boxes is not None:
            images, others = (
                (images, others) if images.dtype == others.dtype else (images.float(), others.float())
            )
            return torch.where(inside(self.boxes, images), others, images)
        rest = each([1 - share for share in self.shares], images)
        return images.float() * each(self.shares, images) + others.float() * rest

    def classes(self, labels: Tensor, others: Tensor) -> dict[str, Tensor]:
        """What a batch says of its classes, given both images' labels, (N,)."""
        return {LABELS: labels, MIXED_LABELS: others, LABEL_SHARES: on_device(self.shares, labels.device)}


def mixtures(spec: Mixing, draws: Draws, height: int, width: int) -> Mixtures:
    """Draws how each image is mixed."""
    numbers = drawn(draws, "mixing", 5)
    shares = [symmetric_beta(spec.alpha, n[1], n[2]) if n[0] < spec.probability else 1.0 for n in numbers]
    if spec.type == "MixUp":
        return Mixtures(shares)
    boxes = [_cut(share, n[3], n[4], height, width) for share, n in zip(shares, numbers, strict=True)]
    return Mixtures([1 - box.height * box.width / (height * width) for box in boxes], boxes)


def _cut(share: float, down: float, across: float, height: int, width: int) -> Box:
    """A rectangle of the rest of the share around a place, as far as it is within the image."""
    half = 0.5 * math.sqrt(1 - share)
    tall, wide = int(half * height), int(half * width)
    row, column = whole(down, height), whole(across, width)
    top, left = max(row - tall, 0), max(column - wide, 0)
    return Box(top, left, min(row + tall, height) - top, min(column + wide, width) - left)


def symmetric_beta(alpha: float, first: float, second: float) -> float:
    """Two uniform numbers from 0 to 1 as one from Beta(alpha, alpha): a Student's t by the polar method (Bailey 1994),
    brought to the unit interval.
    """
    rest = first ** (1 / alpha)
    direction = math.cos(2 * math.pi * second)
    length = rest + (1 - rest) * direction**2
    return 0.5 + 0.5 * direction * math.sqrt((1 - rest) / length) if length else 0.5
