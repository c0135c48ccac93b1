"""Transforms of all images at once, (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Transform = Callable[[Tensor], Tensor]


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = transforms

    def __call__(self, images: Tensor) -> Tensor:
        for transform in self.transforms:
            images = transform(images)
        return images


class ToTensor:
    """Levels from 0 to 1."""

    def __call__(self, images: Tensor) -> Tensor:
        return images.float() / 255


class Resize:
    """Square images of this height."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, images: Tensor) -> Tensor:
        scaled = F.interpolate(images.float(), size=(self.size, self.size), mode="bilinear", antialias=True)
        return scaled.round().clamp(0, 255).to(torch.uint8)


class Normalize:
    """Levels with this mean and deviation taken out, per channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]

    def __call__(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std
