"""A change to some images of a batch, with what was drawn for each of them.

Everything is made of single additions, multiplications and comparisons, of lookups, and of sums of whole numbers: so an image becomes
the same bits whatever else is in its batch. What is drawn comes as Python's numbers, computed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from raygen.models.draws import Draws

LEVELS = 255.0
"""White; images are levels from 0 to this, uint8 or Float32."""
ATTEMPTS = 10
"""Draws of a rectangle until one fits, as torchvision makes them."""


class Change(Protocol):
    """What becomes of some images.

    Attributes:
        rows: Their numbers in the batch; the parameters of a change are in the same order.
    """

    @property
    def rows(self) -> Sequence[int]:
        """Numbers of the images in the batch."""

    def of(self, images: Tensor) -> Tensor:
        """Those images changed.

        Args:
            images: (rows, C, H, W), uint8 or Float32.

        Returns:
            (rows, C, H, W), uint8 only if the images are.
        """


def apply(change: Change, images: Tensor) -> Tensor:
    """The whole batch, (N, C, H, W), with the images of a change changed."""
    rows = change.rows
    if not rows:
        return images
    if len(rows) == len(images):
        return change.of(images)
    index = on_device(rows, images.device, torch.int64)
    changed = change.of(images.index_select(0, index))
    return images.to(changed.dtype).index_copy(0, index, changed)


def on_device(values: Sequence[object], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers as a tensor on a device, (len(values), ...)."""
    tensor = torch.tensor(values, dtype=dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def each(values: Sequence[float], images: Tensor) -> Tensor:
    """A number for each image, (N, 1, 1, 1), Float32."""
    return on_device(values, images.device)[:, None, None, None]


def drawn(draws: Draws, name: str, count: int) -> list[list[float]]:
    """Uniform numbers from 0 (included) to 1 (not) for each sample."""
    numbers: list[list[float]] = draws.uniform(name, count).tolist()
    return numbers


def between(number: float, ends: tuple[float, float]) -> float:
    """A uniform number from 0 to 1 as one between two ends."""
    low, high = ends
    return low + number * (high - low)


def whole(number: float, count: int) -> int:
    """A uniform number from 0 to 1 as a whole number from 0 to `count` - 1."""
    return min(int(number * count), count - 1)


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int


def inside(boxes: Sequence[Box], images: Tensor) -> Tensor:
    """Which pixels are in each image's rectangle, (N, 1, H, W)."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device)[None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, :]
    corners = [(b.top, b.top + b.height, b.left, b.left + b.width) for b in boxes]
    top, bottom, left, right = on_device(corners, images.device, torch.int64)[:, :, None, None].unbind(1)
    return ((rows >= top) & (rows < bottom) & (columns >= left) & (columns < right))[:, None]


def reflected(places: Tensor, size: int) -> Tensor:
    """Places of a line of `size` pixels that is mirrored at its first and last pixel, again and again."""
    period = max(2 * (size - 1), 1)
    places = places.remainder(period)
    return torch.minimum(places, period - places).clamp(max=size - 1)
