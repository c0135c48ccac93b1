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
        images = images.float()
        images = _scaled_up(images, [(box.top, box.height) for box in self.boxes], height, 2)
        return _scaled_up(images, [(box.left, box.width) for box in self.boxes], width, 3)


def _scaled_up(images: Tensor, parts: Sequence[tuple[int, int]], size: int, dimension: int) -> Tensor:
    """A part of each image along a dimension, (first, length), scaled up to `size`."""
    places = torch.arange(size, dtype=torch.float64) + 0.5
    first, length = torch.tensor(parts, dtype=torch.float64)[:, :, None].unbind(1)
    places = (places * (length / size) - 0.5).clamp(min=0.0)
    low = places.floor()
    share = (places - low).float()
    high = torch.minimum(low + 1, length - 1)
    shape = [len(parts), 1, 1, 1]
    shape[dimension] = size

    def along(values: Tensor) -> Tensor:
        return on_device(values.tolist(), images.device, values.dtype).reshape(shape)

    def at(indices: Tensor) -> Tensor:
        return images.gather(dimension, along(indices.long()).expand(images.shape))

    return at(first + low) * along(1 - share) + at(first + high) * along(share)


@dataclass(frozen=True)
class Shift:
    """Each image moved by whole pixels, (down, right), with a border coming in."""

    rows: Sequence[int]
    ways: Sequence[tuple[int, int]]
    border: Border

    def of(self, images: Tensor) -> Tensor:
        """See `Change.of`."""
        for dimension in (2, 3):
            images = self._moved(images, [way[dimension - 2] for way in self.ways], dimension)
        return images

    def _moved(self, images: Tensor, ways: Sequence[int], dimension: int) -> Tensor:
        size = images.shape[dimension]
        way = on_device(ways, images.device, torch.int64)
        places = torch.arange(size, device=images.device) - way[:, None]
        shape = [len(ways), 1, 1, 1]
        shape[dimension] = size
        taken = reflected(places, size) if self.border == "Reflect" else places.clamp(0, size - 1)
        moved = images.gather(dimension, taken.reshape(shape).expand(images.shape))
        if self.border != "Black":
            return moved
        return moved.masked_fill(((places < 0) | (places >= size)).reshape(shape), 0)


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
