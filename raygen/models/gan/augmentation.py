"""Augmentation of what the discriminator sees; differentiable, and drawn per image.

Shapes: N images, C channels, H height, W width; images from -1 to 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from raygen.models.draws import Draws

SHIFT = 0.125
"""Largest translation as a share of the size (Zhao et al. 2020, section 4; Karras et al. 2020, appendix B)."""
CUTOUT = 0.5
"""Size of the square that is cut out, as a share of the image's (the same)."""


def diff_augment(images: Tensor, draws: Draws, name: str) -> Tensor:
    """Colour, translation and cutout (Zhao et al. 2020, section 4).

    Args:
        images: (N, C, H, W).
        draws: Of these images.
        name: Equal names give equal changes.
    """
    numbers = draws.uniform(f"{name} diffaugment", 7)
    brightness, saturation, contrast = (numbers[:, n, None, None, None] for n in range(3))
    images = images + (brightness - 0.5)
    mean = images.mean(dim=1, keepdim=True)
    images = (images - mean) * (2 * saturation) + mean
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * (contrast + 0.5) + mean
    images = translate(images, (2 * numbers[:, 3:5] - 1) * SHIFT)
    return cut_out(images, numbers[:, 5:7])


def adaptive_augment(images: Tensor, draws: Draws, name: str, p: Tensor) -> Tensor:
    """Each change with probability p (Karras et al. 2020, appendix B): flip, quarter turns, shift, scale, rotation,
    brightness, contrast, for colour images saturation, and cutout.

    Args:
        images: (N, C, H, W).
        draws: Of these images.
        name: Equal names give equal changes.
        p: Probability, a scalar on the device.
    """
    chances = draws.uniform(f"{name} ada chances", 9)
    numbers = draws.uniform(f"{name} ada", 8)
    normal = draws.normal(f"{name} ada", 5)
    do = chances < p

    def when(change: int, value: Tensor, otherwise: float) -> Tensor:
        return torch.where(do[:, change], value, otherwise)

    flip = when(0, torch.where(numbers[:, 0] < 0.5, -1.0, 1.0), 1.0)
    quarter = when(1, (numbers[:, 1] * 4).floor(), 0.0) * (math.pi / 2)
    shift = torch.stack([when(2, (2 * numbers[:, n] - 1) * SHIFT, 0.0) for n in (2, 3)], dim=1)
    scale = when(3, torch.exp2(0.2 * normal[:, 0]), 1.0)
    angle = quarter + when(4, (2 * numbers[:, 4] - 1) * math.pi, 0.0)
    images = warp(images, flip, angle, scale, shift)
    images = images + when(5, 0.2 * normal[:, 1], 0.0)[:, None, None, None]
    images = images * when(6, torch.exp2(0.5 * normal[:, 2]), 1.0)[:, None, None, None]
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = grey + (images - grey) * when(7, torch.exp2(normal[:, 3]), 1.0)[:, None, None, None]
    return torch.where(do[:, 8, None, None, None], cut_out(images, numbers[:, 5:7]), images)


def translate(images: Tensor, shift: Tensor) -> Tensor:
    """Moves images by whole pixels, black coming in.

    Args:
        images: (N, C, H, W).
        shift: Down and to the right as shares of the size, (N, 2).
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - (shift[:, :1] * height).round().long()
    columns = torch.arange(width, device=images.device) - (shift[:, 1:] * width).round().long()
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    number = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.movedim(1, 3)[
        number, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ]
    return torch.where(inside[..., None], moved, -1.0).movedim(3, 1)


def cut_out(images: Tensor, centre: Tensor) -> Tensor:
    """Makes a square of half the size grey (zero).

    Args:
        images: (N, C, H, W).
        centre: As shares of the size, (N, 2).
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - centre[:, :1] * height
    columns = torch.arange(width, device=images.device) - centre[:, 1:] * width
    inside = (rows.abs() < height * CUTOUT / 2)[:, None, :, None] & (columns.abs() < width * CUTOUT / 2)[
        :, None, None, :
    ]
    return images.masked_fill(inside, 0.0)


def warp(images: Tensor, flip: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Mirrors, turns, scales and shifts, by bilinear sampling; the border is repeated.

    Args:
        images: (N, C, H, W).
        flip: -1 mirrors left and right, 1 does not, (N,).
        angle: In radians, (N,).
        scale: Factor of the size, (N,).
        shift: As shares of the size, (N, 2).
    """
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    # Rows of the inverse map, from places in the result to places in the image.
    first = torch.stack([flip * cosine, flip * sine, 2 * shift[:, 1]], dim=1)
    second = torch.stack([-sine, cosine, 2 * shift[:, 0]], dim=1)
    places = F.affine_grid(torch.stack([first, second], dim=1), list(images.shape), align_corners=False)
    if images.is_cuda:
        return sample_bilinear(images, places)
    return F.grid_sample(images, places, padding_mode="border", align_corners=False)


def sample_bilinear(images: Tensor, places: Tensor) -> Tensor:
    """What `F.grid_sample` gives with the border repeated; its gradient on CUDA adds up in no fixed order, this one's
    does.

    Args:
        images: (N, C, H, W).
        places: Across and down, from -1 to 1 between the outer edges, (N, H, W, 2).
    """
    height, width = images.shape[2:]
    x = (((places[..., 0] + 1) * width - 1) / 2).clamp(0, width - 1)
    y = (((places[..., 1] + 1) * height - 1) / 2).clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    number = torch.arange(len(images), device=images.device)[:, None, None]
    pixels = images.movedim(1, 3)

    def corner(right: int, down: int) -> Tensor:
        columns, rows = left.long() + right, top.long() + down
        return pixels[number, rows.clamp(max=height - 1), columns.clamp(max=width - 1)]

    across, along = (x - left)[..., None], (y - top)[..., None]
    upper = torch.lerp(corner(0, 0), corner(1, 0), across)
    lower = torch.lerp(corner(0, 1), corner(1, 1), across)
    return torch.lerp(upper, lower, along).movedim(3, 1)
