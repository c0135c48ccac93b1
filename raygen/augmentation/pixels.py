"""Images blurred, with noise, and with a part of them covered, as torchvision defines it.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.augmentation.change import (
    ATTEMPTS,
    LEVELS,
    Box,
    Change,
    between,
    drawn,
    inside,
    on_device,
    reflected,
    whole,
)
from raygen.models.draws import Draws
from raygen.spec.data.augmentation import Blur, Erasing, Noise

REACH = 3.0
"""Where a Gaussian kernel ends, in standard deviations."""


@dataclass(frozen=True)
class Smooth:
    """Images under Gaussian kernels of 2 `radius` + 1 pixels each way, with a mirrored border."""

    rows: Sequence[int]
    sigmas: Sequence[float]
    radius: int

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        weights = on_device([self._kernel(sigma) for sigma in self.sigmas], images.device)
        images = images.float()
        for dimension in (2, 3):
            size = images.shape[dimension]
            places = torch.arange(-self.radius, size + self.radius, device=images.device)
            wide = images.index_select(dimension, reflected(places, size))
            smooth = torch.zeros_like(images)
            for number in range(2 * self.radius + 1):
                smooth = smooth + wide.narrow(dimension, number, size) * weights[:, number, None, None, None]
            images = smooth
        return images

    def _kernel(self, sigma: float) -> list[float]:
        bell = [math.exp(-0.5 * (x / sigma) ** 2) for x in range(-self.radius, self.radius + 1)]
        return [value / math.fsum(bell) for value in bell]


@dataclass(frozen=True)
class Grain:
    """Images with noise added: (rows, C, H, W) times a number of levels."""

    rows: Sequence[int]
    noise: Tensor
    levels: float

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        return (images.float() + self.noise * self.levels).clamp(0, LEVELS)


@dataclass(frozen=True)
class Cover:
    """Images with a rectangle of one level."""

    rows: Sequence[int]
    boxes: Sequence[Box]
    level: int

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        return images.masked_fill(inside(self.boxes, images), self.level)


def blurs(spec: Blur, draws: Draws) -> Change:
    """Draws which images are blurred, and how far."""
    chosen = {
        row: between(sigma, spec.sigma)
        for row, (chance, sigma) in enumerate(drawn(draws, "blur", 2))
        if chance < spec.probability
    }
    return Smooth(list(chosen), list(chosen.values()), math.ceil(REACH * spec.sigma[1]))


def noises(spec: Noise, draws: Draws, many: Draws, shape: torch.Size) -> Change:
    """Draws which images get noise, and the noise of each value.

    Args:
        spec: How much of it.
        draws: Of the images, on the CPU.
        many: The same on the images' device.
        shape: Of an image, (C, H, W).
    """
    chances = drawn(draws, "noise", 1)
    rows = [row for row, (chance,) in enumerate(chances) if chance < spec.probability]
    noise = many.normal("noise of each value", *shape)
    if len(rows) < len(chances):
        noise = noise.index_select(0, on_device(rows, noise.device, torch.int64))
    return Grain(rows, noise, spec.sigma * LEVELS)


def erasures(spec: Erasing, draws: Draws, height: int, width: int) -> Change:
    """Draws which images get a rectangle, and which one; none where it would not fit."""
    chosen = {}
    for row, (chance, *numbers) in enumerate(drawn(draws, "erasing", 2 * ATTEMPTS + 3)):
        box = _rectangle(spec, numbers, height, width) if chance < spec.probability else None
        if box is not None:
            chosen[row] = box
    return Cover(list(chosen), list(chosen.values()), spec.level)


def _rectangle(spec: Erasing, numbers: Sequence[float], height: int, width: int) -> Box | None:
    logarithms = (math.log(spec.ratio[0]), math.log(spec.ratio[1]))
    for attempt in range(ATTEMPTS):
        area = height * width * between(numbers[2 * attempt], spec.scale)
        ratio = math.exp(between(numbers[2 * attempt + 1], logarithms))
        down, across = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if down < height and across < width:
            top, left = whole(numbers[-2], height - down + 1), whole(numbers[-1], width - across + 1)
            return Box(top, left, down, across)
    return None
