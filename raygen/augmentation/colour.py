"""Colours of images changed by factors, as torchvision's ColorJitter defines them.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.augmentation.change import LEVELS, Change, between, drawn, each
from raygen.models.draws import Draws
from raygen.spec.data.augmentation import ColourJitter

GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
FINENESS = 1024
"""Parts of a level that a mean is made of: whole numbers, whose sum is the same in any order."""


@dataclass(frozen=True)
class Brightness:
    """All values times a factor."""

    rows: Sequence[int]
    factors: Sequence[float]

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        return (images.float() * each(self.factors, images)).clamp(0, LEVELS)


@dataclass(frozen=True)
class Contrast:
    """Distances from the image's mean grey times a factor."""

    rows: Sequence[int]
    factors: Sequence[float]

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        images = images.float()
        parts = (grey(images) * FINENESS).round().long().sum(dim=(1, 2, 3), keepdim=True)
        mean = parts.float() / (FINENESS * images.shape[2] * images.shape[3])
        return _blend(images, mean, self.factors)


@dataclass(frozen=True)
class Saturation:
    """Distances from the pixel's own grey times a factor; grey images stay as they are."""

    rows: Sequence[int]
    factors: Sequence[float]

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        if images.shape[1] == 1:
            return images
        images = images.float()
        return _blend(images, grey(images), self.factors)


@dataclass(frozen=True)
class Hue:
    """Hues moved around the colour wheel, by shares of its whole; grey images stay as they are."""

    rows: Sequence[int]
    shifts: Sequence[float]

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        if images.shape[1] == 1:
            return images
        images = images.float()
        red, green, blue = images.unbind(dim=1)
        lowest, highest = images.amin(dim=1), images.amax(dim=1)
        spread = highest - lowest
        divisor = torch.where(spread == 0, 1.0, spread)
        sixths = torch.where(
            highest == red,
            (green - blue) / divisor,
            torch.where(highest == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
        )
        moved = sixths + each(self.shifts, images)[:, 0] * 6
        # Each channel falls from the highest to the lowest value where the hue is far from its own.
        channels = []
        for offset in (5.0, 3.0, 1.0):
            place = (moved + offset).remainder(6.0)
            channels.append(highest - spread * torch.minimum(place, 4 - place).clamp(0, 1))
        return torch.stack(channels, dim=1)


def grey(images: Tensor) -> Tensor:
    """The grey of each pixel, (N, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(dim=1)
    return (red * GREY[0] + green * GREY[1] + blue * GREY[2])[:, None]


def _blend(images: Tensor, others: Tensor, factors: Sequence[float]) -> Tensor:
    rest = each([1 - factor for factor in factors], images)
    return (images * each(factors, images) + others * rest).clamp(0, LEVELS)


def jitter(spec: ColourJitter, draws: Draws) -> list[Change]:
    """Draws which images get other colours, and how; the order of the four changes is that of the whole step."""
    numbers = drawn(draws, "colour jitter", 5)
    rows = [row for row, (chance, *_) in enumerate(numbers) if chance < spec.probability]

    def factors(column: int, strength: float) -> list[float]:
        return [between(numbers[row][column], (max(0.0, 1 - strength), 1 + strength)) for row in rows]

    hues = [between(numbers[row][4], (-spec.hue, spec.hue)) for row in rows]
    changes: list[tuple[float, Change]] = [
        (spec.brightness, Brightness(rows, factors(1, spec.brightness))),
        (spec.contrast, Contrast(rows, factors(2, spec.contrast))),
        (spec.saturation, Saturation(rows, factors(3, spec.saturation))),
        (spec.hue, Hue(rows, hues)),
    ]
    (keys,) = drawn(Draws(draws.key, range(1), draws.device), "colour order", len(changes))
    order = sorted(range(len(changes)), key=keys.__getitem__)
    return [changes[number][1] for number in order if changes[number][0]]
