"""Where the pixels of images come from: crops, mirrors, rotations and affine maps, as torchvision defines them.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from raygen.augmentation.change import (
    ATTEMPTS,
    Box,
    Change,
    between,
    drawn,
    on_device,
    reflected,
    whole,
)
from raygen.models.draws import Draws
from raygen.spec.data.augmentation import Affine, Border, Flip, PaddedCrop, ResizedCrop, Rotate

_PADDING = {"Black": "zeros", "Edge": "border", "Reflect": "reflection"}
"""PyTorch's name of each border."""


@dataclass(frozen=True)
class Resize:
    """A part of each image, scaled up to the whole by bilinear interpolation."""

    rows: Sequence[int]
    boxes: Sequence[Box]

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        height, width = images.shape[2:]
        down = self._places([(box.top, box.height) for box in self.boxes], height)
        across = self._places([(box.left, box.width) for box in self.boxes], width)
        shape = (len(self.boxes), height, width)
        places = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=-1)
        places = places.to(images.device, non_blocking=True)
        return F.grid_sample(images.float(), places, padding_mode="border", align_corners=True)

    @staticmethod
    def _places(parts: Sequence[tuple[int, int]], size: int) -> Tensor:
        """Where each pixel along a dimension comes from, (N, size): from -1 at the first pixel to 1 at the last one."""
        first, length = torch.tensor(parts, dtype=torch.float64)[:, :, None].unbind(1)
        inner = (torch.arange(size, dtype=torch.float64) + 0.5) * (length / size) - 0.5
        # Nothing outside the part is seen, as when it is cut out first.
        places = torch.minimum(inner.clamp(min=0.0), length - 1) + first
        return (places * (2 / max(size - 1, 1)) - 1).float()


@dataclass(frozen=True)
class Shift:
    """Each image moved by whole pixels, (down, right), with a border coming in."""

    rows: Sequence[int]
    ways: Sequence[tuple[int, int]]
    border: Border

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        height, width = images.shape[2:]
        most = max(max(abs(down), abs(right)) for down, right in self.ways)
        wide = self._widened(self._widened(images, most, 2), most, 3)
        return torch.stack(
            [
                image[:, most - down : most - down + height, most - right : most - right + width]
                for image, (down, right) in zip(wide, self.ways, strict=True)
            ]
        )

    def _widened(self, images: Tensor, most: int, dimension: int) -> Tensor:
        """With a border on both sides."""
        size = images.shape[dimension]
        shape = list(images.shape)
        shape[dimension] += 2 * most
        wide = images.new_zeros(shape)
        wide.narrow(dimension, most, size).copy_(images)
        if self.border != "Black":
            for start in (0, most + size):
                places = torch.arange(start, start + most, device=images.device) - most
                taken = reflected(places, size) if self.border == "Reflect" else places.clamp(0, size - 1)
                wide.narrow(dimension, start, most).copy_(images.index_select(dimension, taken))
        return wide


@dataclass(frozen=True)
class Mirror:
    """Images mirrored along a dimension: 2 exchanges top and bottom, 3 left and right."""

    rows: Sequence[int]
    dimension: int

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        return images.flip(self.dimension)


@dataclass(frozen=True)
class Map:
    """What an affine map makes of an image around its centre.

    Attributes:
        angle: In degrees, clockwise.
        right: Way to the right, in pixels.
        down: Way down, in pixels.
        scale: Factor of the size.
        shear: Angles across and down, in degrees.
    """

    angle: float = 0.0
    right: float = 0.0
    down: float = 0.0
    scale: float = 1.0
    shear: tuple[float, float] = (0.0, 0.0)

    def inverse(self) -> tuple[float, ...]:
        """The place in the image that a place of the result shows, from the centre: a x + b y + c and d x + e y + f."""
        turn = math.radians(self.angle)
        across, down = map(math.radians, self.shear)
        # Turned after scaled after sheared down after sheared across, as in torchvision.
        a = math.cos(turn - down) / math.cos(down)
        b = -(a * math.tan(across) + math.sin(turn))
        c = math.sin(turn - down) / math.cos(down)
        d = math.cos(turn) - c * math.tan(across)
        rows = ((d / self.scale, -b / self.scale), (-c / self.scale, a / self.scale))
        return tuple(n for x, y in rows for n in (x, y, -x * self.right - y * self.down))


@dataclass(frozen=True)
class Warp:
    """Images under affine maps, by bilinear interpolation."""

    rows: Sequence[int]
    maps: Sequence[Map]
    border: Border

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        height, width = images.shape[2:]
        rows = [one.inverse() for one in self.maps]
        numbers = on_device(rows, images.device)[:, :, None, None].unbind(1)
        x = torch.arange(width, device=images.device) - (width - 1) / 2
        y = (torch.arange(height, device=images.device) - (height - 1) / 2)[:, None]
        across = numbers[0] * x + numbers[1] * y + numbers[2]
        down = numbers[3] * x + numbers[4] * y + numbers[5]
        # From -1 at the centre of the first pixel to 1 at that of the last.
        places = torch.stack([across * (2 / max(width - 1, 1)), down * (2 / max(height - 1, 1))], dim=-1)
        return F.grid_sample(images.float(), places, padding_mode=_PADDING[self.border], align_corners=True)


def crops(spec: ResizedCrop | PaddedCrop, draws: Draws, height: int, width: int) -> Change:
    """Draws a crop of each image."""
    rows = range(len(draws.samples))
    if isinstance(spec, PaddedCrop):
        count = 2 * spec.padding + 1
        ways = [
            (spec.padding - whole(down, count), spec.padding - whole(right, count))
            for down, right in drawn(draws, "padded crop", 2)
        ]
        return Shift(rows, ways, spec.border)
    numbers = drawn(draws, "resized crop", 2 * ATTEMPTS + 2)
    return Resize(rows, [_part(spec, row, height, width) for row in numbers])


def _part(spec: ResizedCrop, numbers: Sequence[float], height: int, width: int) -> Box:
    logarithms = (math.log(spec.ratio[0]), math.log(spec.ratio[1]))
    for attempt in range(ATTEMPTS):
        area = height * width * between(numbers[2 * attempt], spec.scale)
        ratio = math.exp(between(numbers[2 * attempt + 1], logarithms))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            top, left = whole(numbers[-2], height - down + 1), whole(numbers[-1], width - across + 1)
            return Box(top, left, down, across)
    # The largest part in the middle whose shape is allowed.
    across, down = width, height
    if width / height < spec.ratio[0]:
        down = max(round(width / spec.ratio[0]), 1)
    elif width / height > spec.ratio[1]:
        across = max(round(height * spec.ratio[1]), 1)
    return Box((height - down) // 2, (width - across) // 2, down, across)


def flips(spec: Flip, draws: Draws) -> list[Change]:
    """Draws which images are mirrored, and how."""
    numbers = drawn(draws, "flip", 2)
    across = [row for row, (one, _) in enumerate(numbers) if one < spec.horizontal]
    down = [row for row, (_, one) in enumerate(numbers) if one < spec.vertical]
    return [Mirror(across, 3), Mirror(down, 2)]


def rotations(spec: Rotate, draws: Draws) -> Change:
    """Draws which images are turned, and how far."""
    chosen = {
        row: Map(angle=between(angle, (-spec.degrees, spec.degrees)))
        for row, (chance, angle) in enumerate(drawn(draws, "rotate", 2))
        if chance < spec.probability
    }
    return Warp(list(chosen), list(chosen.values()), spec.border)


def affine_maps(spec: Affine, draws: Draws, height: int, width: int) -> Change:
    """Draws which images get an affine map, and which one."""
    right, down = spec.translate[0] * width, spec.translate[1] * height
    chosen: dict[int, Map] = {}
    for row, (chance, *n) in enumerate(drawn(draws, "affine", 7)):
        if chance < spec.probability:
            chosen[row] = Map(
                angle=between(n[0], (-spec.degrees, spec.degrees)),
                right=round(between(n[1], (-right, right))),
                down=round(between(n[2], (-down, down))),
                scale=between(n[3], spec.scale),
                shear=(
                    between(n[4], (-spec.shear[0], spec.shear[0])),
                    between(n[5], (-spec.shear[1], spec.shear[1])),
                ),
            )
    return Warp(list(chosen), list(chosen.values()), spec.border)
